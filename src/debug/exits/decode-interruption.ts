import { interruption, interruptionTypes } from "../../vmx/interruption.ts";

/** An event in the format of the interruption-information fields. */
export interface DecodedInterruption {
  readonly type: string;
  readonly vector: number;
  readonly errorCode?: string;
}

/** Undefined where the valid bit is 0. */
export const decodeInterruption = (word: number, errorCode = 0): DecodedInterruption | undefined =>
  (word & interruption.valid) === 0
    ? undefined
    : {
        type: interruptionTypes[(word & interruption.type) >>> interruption.typeShift]!,
        vector: word & interruption.vector,
        ...((word & interruption.deliverErrorCode) !== 0 && { errorCode: `0x${errorCode.toString(16)}` }),
      };
