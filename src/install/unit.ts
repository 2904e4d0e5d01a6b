import { SERVICE_USER } from "./layout.ts";

/** Longest wait for running acts at a stop: above the default of shutdownTimeout (60 s), with room for the rest. */
export const STOP_TIMEOUT_SECONDS = 90;

/** The loop counts as stuck after 2 × requestTimeout + 1 min without progress; nobody is killed for being slow. */
const WATCHDOG_SECONDS = 180;

/**
 * Variables that make the binary another program, run code first, show what it sends, or change whom it
 * trusts. Only the service manager can keep the first ones away: they act before the agent does.
 */
export const UNSET_VARIABLES = [
  "BUN_BE_BUN", "BUN_OPTIONS", "BUN_INSPECT", "BUN_INSPECT_CONNECT_TO", "BUN_INSPECT_NOTIFY", "BUN_INSPECT_PRELOAD", "BUN_CONFIG_VERBOSE_FETCH", "BUN_JSC_useJIT",
  "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT",
  "NODE_OPTIONS", "NODE_PATH", "NODE_DEBUG", "NODE_TLS_REJECT_UNAUTHORIZED", "NODE_EXTRA_CA_CERTS",
  "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy",
  "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE",
] as const;

/**
 * The systemd unit. One text for every supported systemd: Type=notify with ExecReload=, because
 * Type=notify-reload begins with 253 and Proxmox VE 8 has 252. Nothing here may hide other users'
 * processes, /run or the cgroup tree: run states are read there.
 */
export function unitText(binary: string): string {
  return `[Unit]
Description=Steward, keeps the guests of this Proxmox VE host as declared
# Wants, not Requires: it reports an API that is down, and must not go down with it.
# Not wanted: pve-guests.service. Whoever stopped it stopped the guests that start at boot, and a start
# of the agent would start them all again.
Wants=network-online.target pve-cluster.service
After=network-online.target pve-cluster.service pve-guests.service

[Service]
Type=notify
NotifyAccess=main
ExecStart=${binary} run
ExecReload=/bin/kill -HUP $MAINPID
User=${SERVICE_USER}
Group=${SERVICE_USER}
UMask=0077
Restart=on-failure
RestartSec=5
# The command line is wrong: trying again does not mend it. A journal that is held (5) is tried again: a
# command ("agent restart", "agent pause") holds it while no agent runs, and gives it back.
RestartPreventExitStatus=64
# Above shutdownTimeout (60s), for which a stopping agent waits for running acts. Raise both together.
TimeoutStopSec=${STOP_TIMEOUT_SECONDS}
# Fed only while the reconcile loop makes progress.
WatchdogSec=${WATCHDOG_SECONDS}

StateDirectory=steward
StateDirectoryMode=0700
RuntimeDirectory=steward
RuntimeDirectoryMode=0750

# What would make the binary another program, or its TLS trust others.
UnsetEnvironment=${UNSET_VARIABLES.join(" ")}

# No MemoryDenyWriteExecute: it turns the JIT off. No ProtectProc=, ProcSubset= or PrivateUsers=: which
# guests run is seen in /proc, /run/qemu-server and /sys/fs/cgroup.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
# A core dump would hold the API token.
LimitCORE=0

[Install]
WantedBy=multi-user.target
`;
}
