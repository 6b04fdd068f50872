import { type BootFile, type BootRefusal, type LoadSegment, refuse } from "./load-plan.ts";
import { hex } from "./memory-map.ts";

/** The address fields of a multiboot header (flag bit 16, or tag 2 of multiboot 2), which replace an ELF header. */
export interface AddressFields {
  readonly header_addr: number;
  readonly load_addr: number;
  /** 0: to the end of the file. */
  readonly load_end_addr: number;
  /** 0: no BSS. */
  readonly bss_end_addr: number;
}

/** What the address fields say must be loaded. `headerOffset` is where the header lies in the file. */
export const addressedSegment = (
  { name, bytes }: BootFile,
  headerOffset: number,
  fields: AddressFields,
): LoadSegment | BootRefusal => {
  const { header_addr, load_addr, load_end_addr, bss_end_addr } = fields;
  const start = headerOffset - (header_addr - load_addr);
  if (load_addr > header_addr || start < 0)
    return refuse(
      `${name}: multiboot field load_addr is ${hex(load_addr)}, expected ${hex(Math.max(0, header_addr - headerOffset))} to ${hex(header_addr)} (header_addr)`,
    );
  if (load_end_addr !== 0 && load_end_addr < load_addr)
    return refuse(
      `${name}: multiboot field load_end_addr is ${hex(load_end_addr)}, expected 0 or at least load_addr ${hex(load_addr)}`,
    );
  const length = load_end_addr === 0 ? bytes.length - start : load_end_addr - load_addr;
  if (start + length > bytes.length)
    return refuse(
      `${name} is truncated: load_end_addr asks for ${start + length} bytes, the file has ${bytes.length}`,
    );
  if (bss_end_addr !== 0 && bss_end_addr < load_addr + length)
    return refuse(
      `${name}: multiboot field bss_end_addr is ${hex(bss_end_addr)}, expected 0 or at least ${hex(load_addr + length)}`,
    );
  const zeros = bss_end_addr === 0 ? 0 : bss_end_addr - load_addr - length;
  return { address: load_addr, bytes: bytes.subarray(start, start + length), zeros };
};
