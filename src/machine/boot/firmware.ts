import { realModeState } from "./initial-state.ts";
import { type BootFile, type BootRefusal, type LoadPlan, refuse } from "./load-plan.ts";
import { FOUR_GIB, MIB, mebibytes } from "./memory-map.ts";

const PAGE = 4096;
/** The last 128 KiB of the first MiB belong to system firmware. */
const LOW_WINDOW = 128 * 1024;
/** What the address space offers between the local APICs and 4 GiB. */
const LARGEST_ROM = 16 * MIB;
/** The reset vector's distance from the end of the ROM. */
const RESET_VECTOR_BYTES = 16;

/**
 * Plans a firmware ROM: read-only so that it ends at 4 GiB, its last 128 KiB again below 1 MiB, the processor in the state that reset leaves
 * (SDM Vol. 3, "First Instruction Executed"): F000:FFF0 with a CS base of FFFF0000H. Firmware that wants to keep variables below
 * 1 MiB copies itself into the chipset's shadow RAM.
 */
export const planFirmware = ({ name, bytes }: BootFile): LoadPlan | BootRefusal => {
  if (bytes.length < RESET_VECTOR_BYTES)
    return refuse(
      `${name} has ${bytes.length} bytes, expected a firmware ROM of ${RESET_VECTOR_BYTES} bytes or more with the reset vector at its end`,
    );
  if (bytes.length > LARGEST_ROM)
    return refuse(
      `${name} is ${mebibytes(bytes.length)} long, expected a firmware ROM of at most ${mebibytes(LARGEST_ROM)}`,
    );
  const length = Math.ceil(bytes.length / PAGE) * PAGE;
  const ROM = new Uint8Array(length).fill(0xff);
  ROM.set(bytes, length - bytes.length);
  const alias = ROM.subarray(Math.max(0, length - LOW_WINDOW));
  return {
    protocol: "firmware",
    segments: [],
    roms: [
      { address: FOUR_GIB - length, bytes: ROM },
      { address: MIB - alias.length, bytes: alias },
    ],
    cpu: realModeState({ CS: { selector: 0xf000, base: 0xffff_0000n }, IP: 0xfff0 }),
  };
};
