import { kernelWith } from "./vmx-kernel.ts";

/**
 * A bare hypervisor to be timed: its guest, a 64-bit one without EPT, calls it by VMCALL in a loop; it moves RIP past the
 * instruction and resumes. Prints "start", then "done" and a checksum (the sum of 1 to the number of iterations, which the guest adds up).
 */
const main = (iterations: number): string => `
main:   mov rbx, [benchTable]
        call beginCase
        call forgetMappings
        mov rsi, startText
        call print
        mov edx, host.rip
        mov eax, benchExited
        vmwrite rdx, rax
        mov edx, host.rsp
        mov rax, rsp
        vmwrite rdx, rax
        mov ecx, ${iterations}
        xor eax, eax
        vmlaunch
        jmp benchFailed

; The guest's rax and rcx are its own: the hypervisor uses others.
benchExited:
        mov edx, exit.reason
        vmread rdi, rdx
        cmp edi, 18
        jne benchFailed
        test ecx, ecx
        jz benchDone
        mov edx, guest.rip
        vmread rdi, rdx
        mov esi, exit.instructionLength
        vmread rbp, rsi
        add rdi, rbp
        vmwrite rdx, rdi
        vmresume
benchFailed:
        mov rsi, failedText
        call print
        jmp finish

benchDone:
        push rax
        mov rsi, doneText
        call print
        pop rax
        call hex
        call newLine
        jmp finish

startText:  db "start", 10, 0
doneText:   db "done ", 0
failedText: db "failed", 10, 0
`;

/** The multiboot image. `iterations`: round trips, 1 to 2^31 - 1. */
export const vmcallLoopKernel = (iterations: number): Uint8Array =>
  kernelWith(
    main(iterations),
    [
      {
        name: "VMCALL loop",
        off: ["activatePreemptionTimer"],
        // The last VMCALL, with ECX 0, ends it.
        guest: "again: add rax, rcx\n vmcall\n dec ecx\n jnz again\n vmcall",
      },
    ],
    "benchTable",
  ).image;

/** The checksum that "done" is followed by, in hexadecimal. */
export const vmcallLoopChecksum = (iterations: number): bigint =>
  (BigInt(iterations) * (BigInt(iterations) + 1n)) / 2n;
