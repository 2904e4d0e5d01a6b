import * as v from "valibot";

/**
 * What Proxmox's answers must have for this client, and no more: unknown keys pass, numbers may come as text
 * and the other way round (docs/proxmox.md rows 4 and 5), booleans as 1, "1" or true.
 */

const finiteNumber = v.pipe(v.number(), v.finite());

/** 106, "106" or 1.06e2. */
const looseNumber = v.union([
  finiteNumber,
  v.pipe(v.string(), v.trim(), v.nonEmpty(), v.transform(Number), finiteNumber),
]);

const looseInteger = v.pipe(looseNumber, v.transform(Math.trunc), v.safeInteger());

const looseText = v.union([v.string(), v.pipe(v.number(), v.transform(String))]);

/** 0/1 in any of its spellings; what is none of them reads as false. */
const looseFlag = v.pipe(
  v.unknown(),
  v.transform((value) => value === true || value === 1 || value === "1" || value === "true"),
);

const optionalText = v.optional(v.nullish(looseText));

export const versionSchema = v.object({ version: v.string() });

/** Rows are read one by one: one that cannot be read must not hide the others. */
export const guestListSchema = v.array(v.unknown());

/** What every row of it must have, to know which guest it is of. */
export const listedGuestSchema = v.looseObject({ vmid: v.pipe(looseInteger, v.minValue(1)) });

export const guestRowSchema = v.object({
  status: optionalText,
  name: optionalText,
  template: v.optional(looseFlag),
  lock: optionalText,
});

/** Values other than text and numbers (the raw `lxc` list) cannot be written over the API and are left out by the reader. */
export const pendingSchema = v.array(
  v.object({
    key: v.string(),
    value: v.optional(v.unknown()),
    pending: v.optional(v.unknown()),
    delete: v.optional(v.unknown()),
  }),
);

/** GET /qemu/VMID/cloudinit: `value` is on the drive, `pending` is not yet, `delete` is there still. */
export const cloudInitSchema = v.array(v.object({ key: v.string(), value: optionalText, pending: optionalText, delete: v.optional(looseFlag) }));

export const guestStatusSchema = v.object({
  status: optionalText,
  qmpstatus: optionalText,
  lock: optionalText,
  template: v.optional(looseFlag),
  ha: v.optional(v.nullish(v.object({ managed: v.optional(looseFlag), state: optionalText }))),
});

export const taskListSchema = v.array(
  v.object({
    upid: v.string(),
    node: v.optional(v.string(), ""),
    type: v.optional(v.string(), ""),
    id: v.optional(v.nullish(looseText)),
    user: v.optional(v.string(), ""),
    starttime: v.optional(looseInteger),
    endtime: v.optional(v.nullish(looseInteger)),
    status: optionalText,
  }),
);

export const taskStatusSchema = v.object({ status: v.picklist(["running", "stopped"]), exitstatus: optionalText });

export const taskLogSchema = v.array(v.object({ n: v.optional(looseInteger), t: v.optional(v.nullish(v.string())) }));

export const clusterOptionsSchema = v.record(v.string(), v.unknown());

export const haResourcesSchema = v.array(v.object({ sid: v.string(), state: optionalText }));

/** /cluster/resources?type=vm; other rows that a later version may put there have no vmid. */
export const clusterGuestsSchema = v.array(v.object({ type: v.string(), vmid: v.optional(looseInteger, 0), node: v.optional(v.string(), "") }));

export const clusterStatusSchema = v.array(v.object({ type: v.string(), quorate: v.optional(looseFlag) }));

/** GET /access/permissions?path=…: privileges by path; a value says only whether it holds further down. */
export const permissionsSchema = v.record(v.string(), v.record(v.string(), v.unknown()));

export const nodeListSchema = v.array(v.object({ node: v.string(), status: optionalText }));

/** A mutation answers with a UPID to wait for, or null for done. */
export const mutationSchema = v.nullable(v.pipe(v.string(), v.startsWith("UPID:")));
