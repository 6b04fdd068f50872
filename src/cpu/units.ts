import { CR0, CR4 } from "../arch/control-registers.ts";
import { Exception } from "../arch/exceptions.ts";
import { type Row, usesSSE } from "../isa/row.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { Fault } from "./core.ts";
import { pendingException } from "./x87-instruction.ts";

/**
 * What CR0.EM, MP, TS and CR4.OSFXSR say about an instruction of the x87, MMX or SSE unit (SDM Vol. 3, Table "Action
 * Taken By x87 FPU Instructions for Different Combinations of EM, MP, and TS" and its SSE counterpart).
 */
export const unitFault = (state: CpuState, row: Row): Fault | undefined => {
  if (row.unit === undefined) return undefined;
  const { CR0: cr0, CR4: cr4 } = state;
  switch (row.unit) {
    case "x87":
      return cr0 & (CR0.EM | CR0.TS) ? new Fault(Exception.NM) : undefined;
    case "fwait":
      return (cr0 & (CR0.MP | CR0.TS)) === (CR0.MP | CR0.TS) ? new Fault(Exception.NM) : undefined;
    case "mmx":
    case "sse+mmx":
      if (cr0 & CR0.EM || (usesSSE(row) && !(cr4 & CR4.OSFXSR))) return new Fault(Exception.UD);
      if (cr0 & CR0.TS) return new Fault(Exception.NM);
      return pendingException(state);
    case "sse":
      if (cr0 & CR0.EM || !(cr4 & CR4.OSFXSR)) return new Fault(Exception.UD);
      return cr0 & CR0.TS ? new Fault(Exception.NM) : undefined;
  }
};
