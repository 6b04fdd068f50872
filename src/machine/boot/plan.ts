import { isElf, readElf } from "./elf.ts";
import { planFirmware } from "./firmware.ts";
import { planFlat } from "./flat.ts";
import { isBzImage, planLinux } from "./linux.ts";
import {
  type BootFile,
  type BootProtocol,
  type BootRefusal,
  type BootRequest,
  isRefusal,
  type LoadPlan,
  refuse,
} from "./load-plan.ts";
import { hex } from "./memory-map.ts";
import { findMultibootHeader, planMultiboot } from "./multiboot.ts";
import { findMultiboot2Header, planMultiboot2 } from "./multiboot2.ts";
import { planPvh, pvhEntry } from "./pvh.ts";

/** What a user may decide about the way an image is booted. */
export interface BootChoice {
  /** Default: the first of bzImage (64-bit, then 32-bit protocol), multiboot, multiboot 2, PVH that the file's content allows. */
  readonly protocol?: BootProtocol;
  /** Whether a multiboot command line begins with the file's name (as QEMU gives it) or not (as GRUB does); default true. */
  readonly withFileName?: boolean;
  /** Where a flat binary is loaded; default 0x7c00. */
  readonly address?: number;
  /** The mode a flat binary is entered in; default "real". */
  readonly mode?: "real" | "protected32" | "long64";
}

/** Field boot_flag of a boot sector, and of the Linux header inside one. */
const BOOT_FLAG_OFFSET = 0x1fe;
const BOOT_FLAG = 0xaa55;

/** Which protocol a file's content asks for; a sentence when it asks for none. */
export const detectProtocol = (
  image: BootFile,
): Exclude<BootProtocol, "flat" | "firmware" | "linux-32"> | BootRefusal => {
  const { name, bytes } = image;
  if (bytes.length === 0) return refuse(`${name} is empty, expected a kernel image`);
  if (isBzImage(bytes)) return "linux-64";
  if (findMultibootHeader(bytes) !== undefined) return "multiboot";
  if (findMultiboot2Header(bytes) !== undefined) return "multiboot2";
  const expected = "a Linux bzImage, a multiboot or multiboot 2 kernel, or an ELF file with a PVH entry note";
  if (isElf(bytes)) {
    const elf = readElf(image);
    if (isRefusal(elf)) return elf;
    if (pvhEntry(elf) !== undefined) return "pvh";
    return refuse(
      `${name} is an ELF file without a PVH entry note or multiboot header, expected ${expected}`,
    );
  }
  if (bytes.length < BOOT_FLAG_OFFSET + 2)
    return refuse(`${name} has ${bytes.length} bytes and no known header, expected ${expected}`);
  const bootFlag = (bytes[BOOT_FLAG_OFFSET] ?? 0) | ((bytes[BOOT_FLAG_OFFSET + 1] ?? 0) << 8);
  return refuse(
    bootFlag === BOOT_FLAG
      ? `${name} is a boot sector without the Linux header "HdrS" at 0x202, expected ${expected}`
      : `${name} is not a kernel image: boot_flag at ${hex(BOOT_FLAG_OFFSET)} is ${hex(bootFlag)} and there is no other known header, expected ${expected}`,
  );
};

/** From an image's bytes to what must be in memory and in the processor when it starts. Pure: the same request gives the same plan. */
export const planBoot = (request: BootRequest, choice: BootChoice = {}): LoadPlan | BootRefusal => {
  const { image } = request;
  if (choice.protocol === "flat") return planFlat(request, choice.address, choice.mode);
  if (choice.protocol === "firmware") return planFirmware(image);
  const detected = choice.protocol ?? detectProtocol(image);
  if (typeof detected !== "string") return detected;
  const style = { withFileName: choice.withFileName ?? true };
  switch (detected) {
    case "multiboot":
      return planMultiboot(request, style);
    case "multiboot2":
      return planMultiboot2(request, style);
    case "pvh":
      return isElf(image.bytes)
        ? planPvh(request)
        : refuse(`${image.name} is not an ELF file, expected one with a PVH entry note`);
    default:
      if (!isBzImage(image.bytes))
        return refuse(
          `${image.name} has no Linux header (0xaa55 at 0x1fe and "HdrS" at 0x202), expected a bzImage`,
        );
      return planLinux(request, choice.protocol === undefined ? undefined : detected);
  }
};
