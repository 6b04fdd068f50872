import { arithmetic } from "./x87-arithmetic.ts";
import { comparisons } from "./x87-compare.ts";
import { controls } from "./x87-environment.ts";
import type { X87Procedure } from "./x87-instruction.ts";
import { transfers } from "./x87-transfer.ts";

/**
 * The x87 FPU (SDM Vol. 1, "Programming with the x87 FPU"), by mnemonic: what an instruction does
 * once CR0.EM and TS have been looked at, but for RIP.
 */
export const x87Procedures: ReadonlyMap<string, X87Procedure> = new Map([
  ...arithmetic,
  ...comparisons,
  ...transfers,
  ...controls,
]);
