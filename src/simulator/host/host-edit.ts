import type { HostEdit, HostEditAnswer } from "../api.ts";
import { renderConfig } from "./config-file.ts";
import { Died } from "./died.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { endContainer } from "./lxc-power.ts";
import { beginProcess } from "./process.ts";
import { endQemu } from "./qemu-power.ts";

/** What somebody else does at the host: an editor on a file, a power button, a killed process. No lock is asked, no task is written. */
export function editHost(host: Host, edit: HostEdit): HostEditAnswer {
  const guest = host.findGuest(edit.vmid);
  if (guest === undefined) return { ok: false, message: `there is no guest ${edit.vmid} on ${host.name}` };
  if (edit.destroy === true) {
    if (guest.running !== undefined) end(host, guest);
    host.dropGuest(guest);
    return { ok: true };
  }
  try {
    editFile(host, guest, edit);
  } catch (error) {
    if (!(error instanceof Died)) throw error;
    return { ok: false, message: error.message };
  }
  return edit.power === undefined ? { ok: true } : editPower(host, guest, edit.power);
}

function editFile(host: Host, guest: Guest, edit: HostEdit): void {
  if (edit.set === undefined && edit.delete === undefined && edit.lock === undefined) return;
  const { main, ...file } = guest.load();
  for (const [key, value] of Object.entries(edit.set ?? {})) main.set(key, value);
  for (const key of edit.delete ?? []) main.delete(key);
  if (edit.lock === null) main.delete("lock");
  else if (edit.lock !== undefined) main.set("lock", edit.lock);
  host.putText(guest, renderConfig(guest.kind, { ...file, main }));
}

function editPower(host: Host, guest: Guest, power: NonNullable<HostEdit["power"]>): HostEditAnswer {
  const { running } = guest;
  if (power === "start") {
    if (running !== undefined) return { ok: false, message: `guest ${guest.vmid} is running` };
    beginProcess(host, guest);
    return { ok: true };
  }
  if (running === undefined) return { ok: false, message: `guest ${guest.vmid} is not running` };
  if (power === "stop") end(host, guest);
  else running.isPaused = power === "pause";
  return { ok: true };
}

function end(host: Host, guest: Guest): void {
  if (guest.running === undefined) return;
  if (guest.kind === "qemu") endQemu(host, guest, guest.running);
  else endContainer(host, guest, guest.running);
}
