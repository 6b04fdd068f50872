import { FreeSpace } from "./free-space.ts";
import {
  flatState,
  flatTable32,
  flatTableBytes,
  type InitialCpuState,
  identityMapBytes,
  identityMapLength,
  realModeState,
} from "./initial-state.ts";
import {
  type BootRefusal,
  type BootRequest,
  type LoadPlan,
  type LoadSegment,
  refuse,
  segmentOf,
} from "./load-plan.ts";
import { FOUR_GIB, hex, MIB, mebibytes, memorySize } from "./memory-map.ts";

/** Where a PC's firmware puts a boot sector. */
export const BOOT_SECTOR_ADDRESS = 0x7c00;

const SEGMENT_LENGTH = 0x1_0000;

/**
 * Plans a file without a format: its bytes at `address`, entered at the first one. In real mode CS is 0 when the address
 * allows it, as for a boot sector. `mode` enters it with flat segments instead: "protected32" without paging, "long64" with the first
 * 4 GiB mapped to themselves.
 */
export const planFlat = (
  request: BootRequest,
  address: number = BOOT_SECTOR_ADDRESS,
  mode: InitialCpuState["mode"] = "real",
): LoadPlan | BootRefusal => {
  const { image, memoryMap } = request;
  if (image.bytes.length === 0) return refuse(`${image.name} is empty, expected a flat binary`);
  const end = mode === "real" ? MIB : FOUR_GIB;
  if (address >= end)
    return refuse(
      `${image.name}: load address is ${hex(address)}, expected one below ${hex(end)} to enter it in ${mode === "real" ? "real" : "protected"} mode`,
    );
  const space = new FreeSpace(memoryMap);
  if (!space.isRam(address, image.bytes.length))
    return refuse(
      `${image.name}: ${image.bytes.length} bytes at ${hex(address)} do not lie in RAM, of which there is ${memorySize(memoryMap)}`,
    );
  space.reserve(address, image.bytes.length);
  const segments: LoadSegment[] = [segmentOf(address, image.bytes)];
  if (mode === "real") {
    const selector = address < SEGMENT_LENGTH ? 0 : address >>> 4;
    const CS = { selector, base: BigInt(selector << 4) };
    const cpu = realModeState({ CS, IP: address - (selector << 4) });
    return { protocol: "flat", segments, roms: [], cpu };
  }
  const table = { ...flatTable32, mode };
  const gdt = flatTableBytes(table);
  const gdtAddress = space.lowest(gdt.length);
  const mapAddress = mode === "long64" ? space.lowest(identityMapLength) : 0;
  if (gdtAddress === undefined || mapAddress === undefined)
    return refuse(
      `${memorySize(memoryMap)} of memory leaves no room for descriptor and page tables beside ${image.name}, expected ${mebibytes(identityMapLength + gdt.length)}`,
    );
  segments.push(segmentOf(gdtAddress, gdt));
  if (mode === "long64") segments.push(segmentOf(mapAddress, identityMapBytes(mapAddress)));
  const cpu = flatState({ ...table, address: gdtAddress }, address, {}, mapAddress);
  return { protocol: "flat", segments, roms: [], cpu };
};
