import { vmcsFields } from "../arch/vmcs-fields.ts";
import { COM1, portTable, serialSetup } from "./routines.ts";
import { guestSelector, guestTable, STACK_OFFSET, vmxMemory } from "./vmx-memory.ts";
import { observedMsrs } from "./vmx-report.ts";
import { cases, reporting } from "./vmx-source-report.ts";
import { pages, start } from "./vmx-source-start.ts";
import { legacy, step, vmcsRoutines } from "./vmx-source-step.ts";

/** Assembly of the VMX test kernel: its tables and variables, and all of it together (vmx-kernel.ts says what a case is). */

/** Exceptions that push an error code (SDM Vol. 3, "Protected-Mode Exceptions and Interrupts"). */
const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);
const hostVectors = Array.from({ length: 256 }, (_, vector) =>
  [
    " align 16",
    withErrorCode.has(vector) ? "" : " push 0",
    ` push ${vector}`,
    ` jmp ${vector === 2 || vector >= 32 ? "hostInterrupt" : "hostException"}`,
  ].join("\n"),
).join("\n");

const tables = `
        align 16
vectors:
${hostVectors}

        align 8
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
        dw 0x67, hostTss & 0xffff
        db (hostTss >> 16) & 0xff, 0x89, 0, (hostTss >> 24) & 0xff
        dq 0, 0x00cf9b000000ffff
gdtPointer:
        dw 0xffff
        dq gdt
idtPointer:
        dw 0xffff
        dq hostIdt
        align 8
hostTss: times 104 db 0

; The page of the guest's tables, as offsets in it say.
tablesImage:
        dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
        dq 0x00009b000000ffff, 0x000093000000ffff, 0x00affb000000ffff, 0x00cff3000000ffff
        dq 0x00cffb000000ffff
        dw 0x67, guestTables + ${guestTable.tss64} & 0xffff, 0x8b20, 0
        dq 0
        dw 0x67, guestTables + ${guestTable.tss32} & 0xffff, 0x8b20, 0
        dw 0x67, guestTables + ${guestTable.otherTss32} & 0xffff, 0x8920, 0
        dw 0, ${guestSelector.otherTss32}, 0xe500, 0
        dw 0x1f, guestTables + ${guestTable.ldt} & 0xffff, 0x8220, 0
        dq 0
        dw 0x2b, guestTables + ${guestTable.tss16} & 0xffff, 0x8320, 0
        dw (guestHandlers + 0xff0) & 0xffff, ${guestSelector.code32}, 0xec00, guestHandlers >> 16
        times ${guestTable.tss64} - ($ - tablesImage) db 0
        dd 0
        dq guestStack + ${STACK_OFFSET}
        times ${guestTable.tss64} + 0x66 - ($ - tablesImage) db 0
        dw 0x68
        times ${guestTable.tss32} - ($ - tablesImage) db 0
        dd 0, guestStack + ${STACK_OFFSET}, ${guestSelector.stack}
        times ${guestTable.tss32} + 0x66 - ($ - tablesImage) db 0
        dw 0x68
        times ${guestTable.otherTss32} - ($ - tablesImage) db 0
; The other 32-bit task: link, three stacks, CR3, EIP, EFLAGS, EAX to EDI, segments, LDT.
        dd 0, guestStack + 0xe00, ${guestSelector.stack}, 0, 0, 0, 0, guestDirectory32, guestHandlers + 0xfe0, 2
        dd 1, 2, 3, 4, guestStack + 0xd00, 5, 6, 7
        dd ${guestSelector.stack}, ${guestSelector.code32}, ${guestSelector.stack}, ${guestSelector.stack}, 0, 0, 0, 0x00680000
        times ${guestTable.ldt} - ($ - tablesImage) db 0
tablesEnd:

ports:
${portTable([[COM1 + 1, 0x00], ...serialSetup(0x03)])}
endText:        db "end", 10, 0
panicText:      db "panic ", 0
shutdownText:   db "Shutdown", 0

        align 4
msrTable:
${observedMsrs.map(({ index }) => ` dd ${index}`).join("\n")}
        dd -1
observables equ 18 + ${observedMsrs.length}
fieldTable:
${vmcsFields.map(({ encoding }) => ` dw ${encoding}`).join("\n")}
        dw 0xffff
`;

/** Variables of the host, zero at the start; sizes in bytes. */
// biome-ignore format: one row per fact
const variables: readonly (readonly [name: string, bytes: number])[] = [
  ["revision", 8], ["hasTrue", 8], ["vmxonPointer", 8], ["vmcsPointer", 8], ["kind", 8], ["launched", 8], ["caseNumber", 8],
  ["caseFlags", 8], ["casePrepare", 8], ["caseBetween", 8], ["unsupported", 8], ["watches", 8], ["watchCount", 8], ["nextRecord", 8],
  ["recoverRsp", 8], ["legacyRsp", 8], ["legacyFlags", 8], ["rspAfter", 8], ["gprs", 128], ["gprsAfter", 128],
  ["flagsAfter", 8], ["hostVector", 8], ["hostErrorCode", 8], ["tookInterrupt", 8], ["tookNmi", 8], ["expectedOutcome", 40],
  ["initial", 512], ["observed", 2048], ["memoryBefore", 256], ["memoryAfter", 256], ["scratch", 256], ["random", 64], ["fields", 512],
];
let offset = 0;
const variableEquates = variables
  .map(([name, bytes]) => {
    const line = `${name} equ ${vmxMemory.variables + offset}`;
    offset += bytes;
    return line;
  })
  .join("\n");

/** All that every VMX test kernel has; `main` and the tables `baseline` and `caseTable` are its user's. */
export const vmxSource = [
  start,
  pages,
  vmcsRoutines,
  step,
  legacy,
  cases,
  reporting,
  tables,
  variableEquates,
].join("\n");

/** Addresses and VMCS encodings, for all assembly of the test kernels. */
export const vmxSymbols: Readonly<Record<string, number>> = {
  ...vmxMemory,
  ...Object.fromEntries(vmcsFields.map(({ name, encoding }) => [name, encoding])),
};
