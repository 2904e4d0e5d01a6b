import type { DesiredReport } from "../../src/desired/model.ts";

/** A file that declares VMs with these numbers and nothing of them. */
export const declaring = (...vmids: number[]) => `version: 1\nguests: [${vmids.map((vmid) => `{ vmid: ${vmid}, kind: qemu }`).join(", ")}]\n`;

/** The guests that a report declares; undefined where it has no state. */
export const vmids = (report: DesiredReport) => (report.state === undefined ? undefined : [...report.state.guests.keys()]);

/** A report's problems, with their codes. */
export const told = (report: DesiredReport) => report.problems.map(({ code, message }) => `${code} ${message}`);
