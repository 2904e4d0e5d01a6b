/** Where everything goes, with whose and with which mode. The directories for settings and state are fixed. */

/** The system user the agent runs as, and its own group. */
export const SERVICE_USER = "steward";

/** Proxmox's group: whoever is in it may read .vmlist, .version, datacenter.cfg and ha/resources.cfg in /etc/pve. */
export const HOST_GROUP = "www-data";

export const CONFIG_DIRECTORY = "/etc/steward";
export const CONFIG_FILE = `${CONFIG_DIRECTORY}/agent.yaml`;
export const TOKEN_FILE = `${CONFIG_DIRECTORY}/token`;
export const DESIRED_DIRECTORY = `${CONFIG_DIRECTORY}/desired`;
export const DESIRED_FILE = `${DESIRED_DIRECTORY}/guests.yaml`;
export const STATE_DIRECTORY = "/var/lib/steward";
export const RUN_DIRECTORY = "/run/steward";
export const UNIT_NAME = "steward.service";

/** What was made besides the files below, so that uninstalling takes away no more than that. */
export const RECORD_FILE = `${CONFIG_DIRECTORY}/.installed`;

export const DEFAULT_PREFIX = "/usr/local";
/** Where a package puts things; everything else is for whoever installs by hand. */
export const PACKAGE_PREFIX = "/usr";

export type Owner = "root:root" | "root:steward" | "steward:steward";

export interface Layout {
  readonly prefix: string;
  readonly binary: string;
  readonly unit: string;
  readonly completions: Readonly<Record<Shell, string>>;
  /** Defaults as they are shipped, to compare an edited file with. */
  readonly share: string;
}

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Paths below a prefix, as the shells and systemd look for them. */
export function layoutOf(prefix: string): Layout {
  const isPackage = prefix === PACKAGE_PREFIX;
  return {
    prefix,
    binary: `${prefix}/bin/agent`,
    unit: `${isPackage ? "/usr/lib" : "/etc"}/systemd/system/${UNIT_NAME}`,
    completions: {
      bash: `${prefix}/share/bash-completion/completions/agent`,
      zsh: `${prefix}/share/zsh/${isPackage ? "vendor-completions" : "site-functions"}/_agent`,
      fish: `${prefix}/share/fish/vendor_completions.d/agent.fish`,
    },
    share: `${prefix}/share/steward`,
  };
}

/** A directory that is the agent's. */
export interface OwnDirectory {
  readonly path: string;
  readonly mode: number;
  readonly owner: Owner;
}

export const OWN_DIRECTORIES: readonly OwnDirectory[] = [
  { path: CONFIG_DIRECTORY, mode: 0o750, owner: "root:steward" },
  // With the setgid bit: what root writes here later belongs to the agent's group, or the agent could not read it.
  { path: DESIRED_DIRECTORY, mode: 0o2750, owner: "root:steward" },
  { path: STATE_DIRECTORY, mode: 0o700, owner: "steward:steward" },
];

/** A file that comes with the agent. */
export interface ShippedFile {
  readonly path: string;
  readonly mode: number;
  readonly owner: Owner;
  /** Its text, or another file's bytes. */
  readonly content: string | { readonly copyOf: string };
  /** Set on files people edit: where the same text is kept as it was shipped. Edited ones are never overwritten. */
  readonly shippedCopy?: string;
}

export interface ShippedTexts {
  readonly unit: string;
  readonly completions: Readonly<Record<Shell, string>>;
  readonly config: string;
  readonly desired: string;
  /** The desired state as JSON Schema, for editors. */
  readonly schema: string;
}

/** What lies in the shared directory: settings and desired state as they were shipped, and the schema for editors. */
export function sharedFiles({ share }: Layout): readonly [config: string, desired: string, schema: string] {
  return [`${share}/agent.yaml`, `${share}/guests.yaml`, `${share}/desired.schema.json`];
}

/** Every file that is installed. `binary`: the file that is copied, where it is now. */
export function shippedFiles(layout: Layout, binary: string, texts: ShippedTexts): readonly ShippedFile[] {
  const plain = (path: string, content: ShippedFile["content"], mode = 0o644): ShippedFile => ({ path, mode, owner: "root:root", content });
  const edited = (path: string, content: string, shippedCopy: string): ShippedFile => ({ path, mode: 0o640, owner: "root:steward", content, shippedCopy });
  const [configCopy, desiredCopy, schema] = sharedFiles(layout);
  // Where this line stands first, editors with a YAML language server complete and check keys.
  const desired = `# yaml-language-server: $schema=${schema}\n${texts.desired}`;
  return [
    plain(layout.binary, { copyOf: binary }, 0o755),
    plain(layout.unit, texts.unit),
    ...SHELLS.map((shell) => plain(layout.completions[shell], texts.completions[shell])),
    edited(CONFIG_FILE, texts.config, configCopy),
    edited(DESIRED_FILE, desired, desiredCopy),
    // After the files they are copies of: those are compared with the copy of the version before.
    plain(configCopy, texts.config),
    plain(desiredCopy, desired),
    plain(schema, texts.schema),
  ];
}
