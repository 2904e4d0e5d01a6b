/** Words that several checks share. */

export const MEND_CLOCK = 'look at "timedatectl" on both: the clocks must be synchronised (Proxmox brings chrony along)';

/** 0600, the way chmod takes it. */
export function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8).padStart(3, "0")}`;
}

/** "1 guest", "2 guests". */
export function count(many: number, noun: string): string {
  return `${many} ${noun}${many === 1 ? "" : "s"}`;
}
