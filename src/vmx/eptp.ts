import { EPTP } from "../arch/ept-entries.ts";
import type { CpuModel } from "../cpu/core.ts";

/** Would VM entry with "enable EPT" accept this EPT pointer? (SDM Vol. 3, "Checks on VMX Controls": "enable EPT".) */
export const isValidEptp = (model: CpuModel, eptp: bigint): boolean => {
  const low = Number(eptp & 0xfffn);
  const type = low & EPTP.memoryType;
  if (!(type === 0 && model.has("eptMemoryUC")) && !(type === 6 && model.has("eptMemoryWB"))) return false;
  const levels = ((low & EPTP.walkLength) >> 3) + 1;
  if (!(levels === 4 && model.has("eptWalkLength4")) && !(levels === 5 && model.has("eptWalkLength5")))
    return false;
  if (low & EPTP.accessedDirty && !model.has("eptAccessedDirty")) return false;
  return (low & EPTP.reserved) === 0 && eptp >> BigInt(model.physicalAddressBits) === 0n;
};
