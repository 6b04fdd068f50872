import { highest } from "./vector-set.ts";

/** What decides which interrupt comes next: requested and in-service vectors, and the task priority. */
export interface PriorityRegisters {
  readonly TPR: number;
  readonly IRR: readonly number[];
  readonly ISR: readonly number[];
}

/** The processor priority register: SDM Vol. 3, "Task and Processor Priorities". */
export const processorPriority = ({ TPR, ISR }: PriorityRegisters): number => {
  const inService = highest(ISR);
  return TPR >>> 4 >= inService >>> 4 ? TPR : inService & 0xf0;
};

/** The highest requested vector whose priority class is above the processor's. */
export const deliverableVector = (registers: PriorityRegisters): number | undefined => {
  const vector = highest(registers.IRR);
  return vector >>> 4 > processorPriority(registers) >>> 4 ? vector : undefined;
};

/** SDM Vol. 3, "Arbitration Priority Register". */
export const arbitrationPriority = ({ TPR, IRR, ISR }: PriorityRegisters): number => {
  const [task, requested, inService] = [TPR >>> 4, highest(IRR) >>> 4, highest(ISR) >>> 4];
  if (task >= requested && task > inService) return TPR;
  return Math.max(task & inService, requested) << 4;
};
