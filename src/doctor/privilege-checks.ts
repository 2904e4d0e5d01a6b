import type { DesiredState } from "../desired/model.ts";
import { formatGuestKey } from "../guest/key.ts";
import type { Result } from "../ports/errors.ts";
import { check, type Check } from "./check.ts";
import type { AnswerFacts, ConfiguredFacts } from "./facts.ts";
import { broken, fine, skip, warn, type Judgement } from "./finding.ts";
import { isBridgeNeed, needsOfState, rootOnlyKeys, type GuestNeed } from "./needs.ts";
import type { Need } from "./privileges.ts";
import { count } from "./words.ts";

/** What the token may do, held against what the desired state needs: per guest and key. */
export const PRIVILEGE_CHECKS: readonly Check[] = [
  check("privileges", "every privilege on guests that keeping them as declared needs", (facts) => judgeNeeds(facts, (need) => !isBridgeNeed(need), judgeGuests)),
  check("bridges", "the use of every bridge that declared NICs are on", (facts) => judgeNeeds(facts, isBridgeNeed, judgeBridges)),
  check("root-only-keys", "no declared key that Proxmox takes from root's own login only", judgeRootOnly),
  check("visibility", "Sys.Audit on / and on the node: other people's tasks, HA, quorum, tag style", judgeVisibility),
];

type Answer = "yes" | "no" | "not asked";

function isGiven({ privileges }: AnswerFacts, { path, anyOf }: Need): Answer {
  const given = privileges.get(path);
  if (given === undefined || !given.ok) return "not asked";
  return anyOf.some((name) => given.value.has(name)) ? "yes" : "no";
}

/** The two things every judgement here stands on; the first that is missing says why there is none. */
function basis({ api, desired }: ConfiguredFacts): Result<{ answers: AnswerFacts; state: DesiredState; token: string }, { code: "doctor.not_gathered"; message: string }> {
  const missing = (message: string) => ({ ok: false, error: { code: "doctor.not_gathered", message } }) as const;
  if (!api.ok || !api.value.token.ok || api.value.answers?.ok !== true) return missing("Proxmox was not asked, see api, tls and token");
  if (!desired.ok || desired.value.state === undefined) return missing("no desired state to judge by, see desired");
  return { ok: true, value: { answers: api.value.answers.value, state: desired.value.state, token: api.value.token.value } };
}

function judgeNeeds(facts: ConfiguredFacts, isMeant: (need: Need) => boolean, judge: (missing: readonly GuestNeed[], token: string) => Judgement): Judgement {
  const found = basis(facts);
  if (!found.ok) return skip(found.error.message);
  const { answers, state, token } = found.value;
  const needs = needsOfState(state).filter(isMeant);
  const missing = needs.filter((need) => isGiven(answers, need) === "no");
  if (missing.length > 0) return judge(missing, token);
  const open = new Set(needs.filter((need) => isGiven(answers, need) === "not asked").map(({ path }) => path));
  if (open.size > 0) return warn(`${count(open.size, "path")} could not be asked about: ${[...open].slice(0, PATHS_SHOWN).join(", ")}`, "run agent doctor again when Proxmox is less busy");
  return fine(needs.length === 0 ? "nothing is needed" : `${count(needs.length, "need")} of ${count(new Set(needs.map(({ guest }) => guest.vmid)).size, "guest")}, all given`);
}

const PATHS_SHOWN = 3;

function judgeGuests(missing: readonly GuestNeed[], token: string): Judgement {
  const guests = [...new Set(missing.map(({ guest }) => formatGuestKey(guest)))];
  return broken(`${token} lacks some on ${guests.length === 1 ? guests[0] : count(guests.length, "guest")}`, grants(missing, token), perGuest(missing));
}

/** A bridge that no SDN zone of the cluster's making owns is in "localnetwork"; of others the zone is not known here. */
const PLAIN_BRIDGE = /\/vmbr\d+(?:\/\d+)?$/;

function judgeBridges(missing: readonly GuestNeed[], token: string): Judgement {
  const found = `${token} lacks SDN.Use on ${[...new Set(missing.map(({ path }) => path))].join(", ")}`;
  if (missing.some(({ path }) => PLAIN_BRIDGE.test(path))) return broken(found, grants(missing, token), perGuest(missing));
  return warn(`${found}, unless they belong to another zone`, "when they do, see to SDN.Use on /sdn/zones/ZONE/BRIDGE; otherwise as for a plain bridge", perGuest(missing));
}

/** "qemu/101: VM.Config.CPU on /vms/101 for cores, cpu". */
function perGuest(missing: readonly GuestNeed[]): readonly string[] {
  const uses = new Map<string, string[]>();
  for (const { guest, path, anyOf, use } of missing) {
    const lack = `${formatGuestKey(guest)}: ${anyOf.join(" or ")} on ${path} for`;
    const known = uses.get(lack);
    if (known === undefined) uses.set(lack, [use]);
    else known.push(use);
  }
  return [...uses].map(([lack, keys]) => `${lack} ${keys.join(", ")}${keys.includes("reading") ? " (unseen, it counts as missing)" : ""}`);
}

/** Commands that give what is missing, one a path; guests together when there are several. */
function grants(missing: readonly GuestNeed[], token: string): string {
  const places = new Map<string, Set<string>>();
  const isOneGuest = new Set(missing.map(({ guest }) => guest.vmid)).size === 1;
  for (const { path, anyOf } of missing) {
    const place = path.startsWith("/vms/") && !isOneGuest ? "/vms" : path;
    const names = places.get(place) ?? new Set();
    places.set(place, names.add(anyOf[0] ?? ""));
  }
  const [user = token] = token.split("!");
  const commands = [...places].flatMap(([place, names], index) => [
    `pveum role add StewardMore${index + 1} --privs "${[...names].join(" ")}"`,
    `pveum acl modify ${place} --users ${user} --roles StewardMore${index + 1}`,
  ]);
  return `${commands.join("; ")}. A token made with --privsep 1 needs each acl line again with --tokens '${token}'. One acl line on a guest replaces what it inherits: name its other roles too`;
}

function judgeRootOnly({ desired }: ConfiguredFacts): Judgement {
  if (!desired.ok || desired.value.state === undefined) return skip("no desired state to judge by, see desired");
  const found = rootOnlyKeys(desired.value.state);
  if (found.length === 0) return fine("none");
  const lines = found.map(({ guest, key }) => `${formatGuestKey(guest)}: ${key}`);
  return warn(`${count(found.length, "declared key")} that no token can set: they are reported and never sent`, "set them in Proxmox as root@pam, or take them out of the desired state", lines);
}

/** What a token does not see without Sys.Audit, and what tells it on the host instead. */
function judgeVisibility(facts: ConfiguredFacts): Judgement {
  const { api, host, config } = facts;
  if (!api.ok || !api.value.token.ok || api.value.answers?.ok !== true) return skip("Proxmox was not asked, see api, tls and token");
  const answers = api.value.answers.value;
  const node = `/nodes/${config.node}`;
  const audit = (path: string): Answer => isGiven(answers, { path, anyOf: ["Sys.Audit"] });
  const lacks = ["/", node].filter((path) => audit(path) === "no");
  if (lacks.length === 0) return ["/", node].some((path) => audit(path) === "not asked") ? skip("could not be asked") : fine("both given");
  const isOnHost = host.ok && host.value.enabled !== false && host.value.isPresent;
  const unseen = [
    ...(lacks.includes(node) && !isOnHost ? ["tasks of others: a backup is not seen before a power act"] : []),
    ...(lacks.includes("/") && !isOnHost ? ["HA resources and the tag style: tags are compared as by default"] : []),
    ...(lacks.includes("/") ? ["quorum"] : []),
  ];
  const token = api.value.token.value;
  const mend = `pveum role add StewardHost --privs "Sys.Audit"; pveum acl modify / --users ${token.split("!")[0]} --roles StewardHost (it holds on ${node} too)`;
  if (unseen.length === 0) return fine(`no Sys.Audit on ${lacks.join(" and ")}; the host's own files tell the same`);
  return warn(`no Sys.Audit on ${lacks.join(" and ")}`, mend, unseen.map((what) => `not seen: ${what}`));
}
