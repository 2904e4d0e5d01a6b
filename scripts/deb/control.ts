/** What a package says of itself (deb-control(5)). */
export interface Identity {
  readonly version: string;
  readonly architecture: Architecture;
  readonly installedBytes: number;
}

export const ARCHITECTURES = { "linux-x64": "amd64", "linux-arm64": "arm64" } as const;
export type Architecture = (typeof ARCHITECTURES)[keyof typeof ARCHITECTURES];

const MAINTAINER = "The Steward authors <maintainers@steward.invalid>";

/** The oldest C library the binary runs with. */
const LIBC_MIN = "2.17";

const BYTES_PER_KIB = 1024;

export function controlFile({ version, architecture, installedBytes }: Identity): string {
  return `Package: steward
Version: ${version}
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${Math.ceil(installedBytes / BYTES_PER_KIB)}
Depends: adduser, libc6 (>= ${LIBC_MIN}), procps
Suggests: pve-manager
Section: admin
Priority: optional
Description: keeps Proxmox VE guests the way they were declared
 Steward's agent runs on a Proxmox VE host. It compares the virtual machines
 and containers with what was declared in YAML, mends what is safe to mend
 through Proxmox's own API, and shows the rest. It ships with dryRun on:
 nothing is changed before that line is taken out of /etc/steward/agent.yaml.
`;
}

export const COPYRIGHT = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Steward

Files: *
Copyright: 2026 the Steward authors
License: Apache-2.0
 On Debian systems the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
Comment:
 /usr/bin/agent also holds the Bun runtime and the npm packages commander,
 hono, mitata, prom-client, valibot and yaml, each under its own license.
`;

/** A Debian changelog with the one entry that matters: this version. What changed is in CHANGELOG.md, beside it. */
export function debianChangelog(version: string, modifiedAt: number): string {
  const date = new Date(modifiedAt * 1000).toUTCString().replace("GMT", "+0000");
  return `steward (${version}) stable; urgency=medium\n\n  * Version ${version}; what changed is in CHANGELOG.md.gz.\n\n -- ${MAINTAINER}  ${date}\n`;
}

/** Why lintian's findings are as they should be. */
export const LINTIAN_OVERRIDES = `# Stripping cuts the program off the runtime it is appended to.
steward: unstripped-binary-or-object [usr/bin/agent]
# The runtime is one static program.
steward: embedded-library *
# Made with the agent's own rights in mind: root:steward, unreadable for others.
steward: non-standard-dir-perm *
steward: non-standard-file-perm *
# --help at every command, and /usr/share/doc/steward.
steward: no-manual-page [usr/bin/agent]
# systemctl is called with daemon-reload and try-restart only; nothing is enabled by the package.
steward: maintainer-script-calls-systemctl *
# Below DPKG_ROOT there is no getent.
steward: maintainer-script-should-not-parse-etc-passwd-or-group *
# The runtime is built by its makers.
steward: hardening-no-pie [usr/bin/agent]
steward: hardening-no-relro [usr/bin/agent]
# It only looks whether this package is installed.
steward: uses-dpkg-database-directly [usr/bin/agent]
`;
