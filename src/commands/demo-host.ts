import { completeStartState, generateHost } from "../simulator/start-state.ts";
import type { StartState } from "../simulator/api.ts";
import type { Random } from "../ports/random.ts";

/** Guests of the demo's host; six of them are declared in examples/homelab. */
const DEMO_GUESTS = 24;

/** The other eighteen are the same at every run. */
const DEMO_SEED = 7;

export const DEMO_NODE = "pve1";

/**
 * The declared guests as somebody left them: the proxy without its description, the web server with too
 * few cores and a wrong tag, the database switched off. The other three are as declared.
 */
const CONFIGS: Readonly<Record<string, string>> = {
  "qemu-server/100": "boot: order=net0\ncores: 2\nmemory: 1024\nmeta: creation-qemu=10.0.13,ctime=1760000000\nname: proxy\nnet0: virtio=BC:24:11:00:01:00,bridge=vmbr0,firewall=1\nonboot: 1\nostype: l26\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000100\nsockets: 1\nstartup: order=1,up=10\ntags: prod;web\n",
  "qemu-server/101": "boot: order=net0\ncores: 2\nmemory: 2048\nmeta: creation-qemu=10.0.13,ctime=1760000001\nname: web\nnet0: virtio=BC:24:11:00:01:01,bridge=vmbr0\nonboot: 1\nostype: l26\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000101\nsockets: 1\nstartup: order=2,up=5\ntags: staging;web\n",
  "qemu-server/102": "#PostgreSQL, nightly dumps at two\nballoon: 0\nboot: order=net0\ncores: 2\nmemory: 4096\nmeta: creation-qemu=10.0.13,ctime=1760000002\nname: database\nnet0: virtio=BC:24:11:00:01:02,bridge=vmbr0\nonboot: 1\nostype: l26\nprotection: 1\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000102\nsockets: 1\nstartup: order=1\ntags: backup;prod\n",
  "lxc/103": "#File shares\narch: amd64\ncores: 1\nhostname: files\nmemory: 512\nnet0: name=eth0,bridge=vmbr0,firewall=1,hwaddr=BC:24:11:00:02:03,ip=dhcp,type=veth\nonboot: 1\nostype: debian\nrootfs: local:103/vm-103-disk-0.raw,size=4G\nstartup: order=3\nswap: 256\ntags: prod\n",
  "qemu-server/104": "boot: order=net0\ncores: 4\nmemory: 4096\nmeta: creation-qemu=10.0.13,ctime=1760000004\nname: build\nonboot: 0\nostype: l26\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000104\nsockets: 1\ntags: lab\n",
  "qemu-server/105": "#Break things here\nboot: order=net0\ncores: 1\nmemory: 1024\nmeta: creation-qemu=10.0.13,ctime=1760000005\nname: playground\nostype: l26\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000105\nsockets: 1\ntags: lab\n",
};

/** Declared guests that run when the demo begins. */
export const DEMO_RUNNING: readonly number[] = [100, 101, 103];

/** The demo's host, before anything is started. */
export function demoStartState(random: Random): StartState {
  const generated = generateHost(DEMO_NODE, DEMO_GUESTS, DEMO_SEED).startState;
  const declared = Object.entries(CONFIGS).map(([path, text]): [string, string] => [`/etc/pve/nodes/${DEMO_NODE}/${path}.conf`, text]);
  return completeStartState({ ...generated, files: { ...generated.files, ...Object.fromEntries(declared) } }, random);
}
