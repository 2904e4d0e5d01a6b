import type { RawConfig } from "../../guest/observed.ts";
import { parseProperties, valueOf } from "../property-string.ts";
import { textOf } from "../value-rule.ts";
import { isCloudInitDrive } from "./drive-place.ts";

/** Drives in the order in which Proxmox goes through them. EFI disk and TPM state never start a system. */
const DRIVES: readonly string[] = [...numbered("ide", 4), ...numbered("scsi", 31), ...numbered("virtio", 16), ...numbered("sata", 6)];
const NICS: readonly string[] = numbered("net", 32);

/**
 * The devices that legacy boot letters stand for, in their order (docs/proxmox.md row 50): `c` is the one
 * disk that `bootdisk` names, none without it; `d` is every CD drive that is not cloud-init's; `n` is every
 * NIC. `a`, floppies, is nothing any more.
 */
export function legacyDevices(letters: string, config: RawConfig): readonly string[] {
  return [...new Set(letters)].flatMap((letter) => {
    switch (letter) {
      case "c":
        return bootDisk(config);
      case "d":
        return DRIVES.filter((key) => isBootableCd(config, key));
      case "n":
        return NICS.filter((key) => textOf(config[key]) !== "");
      default:
        return [];
    }
  });
}

function bootDisk(config: RawConfig): readonly string[] {
  const key = textOf(config["bootdisk"]);
  return DRIVES.includes(key) && textOf(config[key]) !== "" && !isBootableCd(config, key) ? [key] : [];
}

function isBootableCd(config: RawConfig, key: string): boolean {
  const text = textOf(config[key]);
  return valueOf(parseProperties(text, "file") ?? [], "media") === "cdrom" && !isCloudInitDrive(text);
}

function numbered(stem: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${stem}${index}`);
}
