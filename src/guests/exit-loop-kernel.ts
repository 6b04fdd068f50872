import { type VmcsFieldName, vmcsField } from "../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../arch/vmx-controls.ts";
import { assemble } from "../asm/index.ts";
import { COM1, decimal, enterLongMode, portTable, print, put, serialSetup, writePorts } from "./routines.ts";

/**
 * The smallest hypervisor, for measuring: its 64-bit guest executes VMCALL in a loop, it takes each VM exit, moves the guest's RIP
 * on and resumes. A multiboot 1 image. On serial port 1 it writes a line before and one after that many round trips, the second
 * with the guest's own count; then it ends the machine (Bochs: port 8900H; others: the debug-exit port, with success as 0).
 */
export interface ExitLoopOptions {
  readonly roundTrips: number;
}

/** What the lines begin with: "vmcall start COUNT" and "vmcall end COUNT CHECKSUM". */
export const EXIT_LOOP = "vmcall";

const VMCALL_EXIT = 18;

const bitOf = (key: ControlKey): number => (1 << vmxControl(key).bit) >>> 0;
const encoding = (name: VmcsFieldName): string => `0x${vmcsField(name).encoding.toString(16)}`;

/** Fields with constant values; those that follow registers or capability MSRs are written by the program. */
const fields: Partial<Record<VmcsFieldName, string>> = {
  // As every hypervisor in use does: without VPID each exit and entry flush the TLB.
  "control.vpid": "1",
  "control.exceptionBitmap": "0",
  "control.pageFaultErrorCodeMask": "0",
  "control.pageFaultErrorCodeMatch": "0",
  "control.cr3TargetCount": "0",
  "control.exitMsrStoreCount": "0",
  "control.exitMsrLoadCount": "0",
  "control.entryMsrLoadCount": "0",
  "control.entryInterruptionInformation": "0",
  "guest.vmcsLinkPointer": "-1",
  "guest.ia32Debugctl": "0",
  "guest.activity": "0",
  "guest.interruptibility": "0",
  "guest.pendingDebugExceptions": "0",
  "guest.dr7": "0x400",
  "guest.rflags": "2",
  "guest.rip": "guest",
  "guest.rsp": "guestStack",
  "guest.gdtr.base": "gdt",
  "guest.gdtr.limit": "gdtEnd - gdt - 1",
  "guest.idtr.base": "0",
  "guest.idtr.limit": "0",
  "guest.cs.selector": "8",
  "guest.cs.base": "0",
  "guest.cs.limit": "0xffffffff",
  "guest.cs.access": "0xa09b",
  ...Object.fromEntries(
    (["ss", "ds", "es", "fs", "gs"] as const).flatMap((name) => [
      [`guest.${name}.selector`, "0x10"],
      [`guest.${name}.base`, "0"],
      [`guest.${name}.limit`, "0xffffffff"],
      [`guest.${name}.access`, "0xc093"],
    ]),
  ),
  "guest.ldtr.selector": "0",
  "guest.ldtr.base": "0",
  "guest.ldtr.limit": "0",
  "guest.ldtr.access": "0x10000",
  "guest.tr.selector": "0x18",
  "guest.tr.base": "0",
  "guest.tr.limit": "0x67",
  "guest.tr.access": "0x8b",
  "guest.ia32SysenterCs": "0",
  "guest.ia32SysenterEsp": "0",
  "guest.ia32SysenterEip": "0",
  "host.ia32SysenterCs": "0",
  "host.ia32SysenterEsp": "0",
  "host.ia32SysenterEip": "0",
  "host.cs.selector": "8",
  "host.ss.selector": "0x10",
  "host.ds.selector": "0x10",
  "host.es.selector": "0x10",
  "host.fs.selector": "0x10",
  "host.gs.selector": "0x10",
  "host.tr.selector": "0x18",
  "host.fs.base": "0",
  "host.gs.base": "0",
  "host.tr.base": "0",
  "host.gdtr.base": "gdt",
  "host.idtr.base": "0",
  "host.rsp": "hostStack",
  "host.rip": "exited",
};

/** Controls: what must be 1 by the capability MSR, and the bits asked for here. */
// biome-ignore format: one row per fact
const controls: readonly (readonly [VmcsFieldName, capabilityMsr: number, wanted: number])[] = [
  ["control.pinBased",       0x481, 0],
  ["control.processorBased", 0x482, bitOf("activateSecondaryControls")],
  ["control.secondaryProcessorBased", 0x48b, bitOf("enableVPID")],
  ["control.exitControls",   0x483, 0x200],
  ["control.entryControls",  0x484, 0x200],
];

const writeField = (name: VmcsFieldName): string => `
        mov ecx, ${encoding(name)}
        vmwrite rcx, rax
        jbe failed`;

const program = ({ roundTrips }: ExitLoopOptions): string => `
        bits 32
base    equ 0x100000
header: dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
        dd header, base, imageEnd, end, entry

entry:  cli
        mov esp, hostStack
        mov edi, tables
        mov ecx, 3 * 1024
        xor eax, eax
        rep stosd
        mov dword [tables], tables + 0x1003
        mov dword [tables + 0x1000], tables + 0x2003
        mov edi, tables + 0x2000
        mov eax, 0x83
.map:   mov [edi], eax
        add eax, 0x200000
        add edi, 8
        cmp edi, tables + 0x3000
        jb .map
        mov eax, tables
        mov cr3, eax
${enterLongMode(0x80000021)}
        bits 64
long:   mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov fs, eax
        mov gs, eax
        mov rsp, hostStack

; The serial port at 115200 baud, 8 data bits.
${writePorts("serialPorts", ".vmx")}

; VMX operation: IA32_FEATURE_CONTROL, fixed bits of CR0 and CR4, revision identifiers.
.vmx:   mov ecx, 0x3a
        rdmsr
        test al, 1
        jnz .locked
        or eax, 5
        wrmsr
.locked:
        mov ecx, 0x486
        rdmsr
        mov rbx, cr0
        or rbx, rax
        mov cr0, rbx
        mov ecx, 0x488
        rdmsr
        mov rbx, cr4
        or rbx, rax
        mov cr4, rbx
        mov ecx, 0x480
        rdmsr
        and eax, 0x7fffffff
        mov [vmxonRegion], eax
        mov [vmcs], eax
        vmxon [vmxonPointer]
        jbe failed
        vmclear [vmcsPointer]
        jbe failed
        vmptrld [vmcsPointer]
        jbe failed

${controls
  .map(
    ([name, msr, wanted]) => `
        mov ecx, ${msr}
        rdmsr
        or eax, ${wanted}
        and eax, edx${writeField(name)}`,
  )
  .join("\n")}
${(["cr0", "cr3", "cr4"] as const)
  .map((name) => `        mov rax, ${name}${writeField(`guest.${name}`)}${writeField(`host.${name}`)}`)
  .join("\n")}
        mov rsi, constants
.field: mov rcx, [rsi]
        cmp rcx, -1
        je .go
        mov rax, [rsi + 8]
        vmwrite rcx, rax
        jbe failed
        add rsi, 16
        jmp .field

.go:    mov rsi, startText
        call print
        mov rax, ${roundTrips}
        call decimal
        call newLine
        mov rbx, ${roundTrips}
        xor esi, esi
        vmlaunch

failed: mov rsi, failedText
        call print
        mov ecx, ${encoding("exit.vmInstructionError")}
        xor eax, eax
        vmread rax, rcx
        jmp .tell
.other: mov rsi, exitText
        call print
        mov ecx, ${encoding("exit.reason")}
        vmread rax, rcx
.tell:  call decimal
        call newLine
        mov al, 1
        jmp leave

; The hypervisor's whole work: why, where, on. RSI is the guest's, RBX counts down.
exited: mov ecx, ${encoding("exit.reason")}
        vmread rax, rcx
        cmp eax, ${VMCALL_EXIT}
        jne failed.other
        mov ecx, ${encoding("exit.instructionLength")}
        vmread rdx, rcx
        mov ecx, ${encoding("guest.rip")}
        vmread rax, rcx
        add rax, rdx
        vmwrite rcx, rax
        dec rbx
        jz .done
        vmresume
        jmp failed
.done:  mov rdi, rsi
        mov rsi, endText
        call print
        mov rax, ${roundTrips}
        call decimal
        mov al, ' '
        call put
        mov rax, rdi
        call decimal
        call newLine
        xor eax, eax
; Lets the last byte leave the serial port, then ends the machine with AL.
leave:  push rax
        mov edx, ${COM1 + 5}
.empty: in al, dx
        test al, 0x40
        jz .empty
        mov rsi, shutdownText
        mov edx, 0x8900
.next:  mov al, [rsi]
        test al, al
        jz .exit
        out dx, al
        inc rsi
        jmp .next
.exit:  pop rax
        out 0xf4, al
.halt:  hlt
        jmp .halt

guest:  inc rsi
        vmcall
        jmp guest

newLine:
        mov al, 10
        jmp put
${print}${put}${decimal}
serialPorts:
${portTable(serialSetup(3))}
startText:    db '${EXIT_LOOP} start ', 0
endText:      db '${EXIT_LOOP} end ', 0
failedText:   db 'a VMX instruction failed: ', 0
exitText:     db 'another VM exit: ', 0
shutdownText: db 'Shutdown', 0
        align 8
constants:
${Object.entries(fields)
  .map(([name, value]) => `        dq ${encoding(name as VmcsFieldName)}, ${value}`)
  .join("\n")}
        dq -1
vmxonPointer: dq vmxonRegion
vmcsPointer:  dq vmcs
        align 8
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067, 0
gdtEnd:
gdtPointer:
        dw gdtEnd - gdt - 1
        dq gdt
imageEnd:

; Not in the file.
        align 4096
tables: resb 3 * 4096
vmxonRegion:
        resb 4096
vmcs:   resb 4096
        resb 4096
hostStack:
        resb 4096
guestStack:
end:
`;

/** The hypervisor's image. */
export const exitLoopKernel = (options: ExitLoopOptions): Uint8Array => {
  const assembly = assemble(program(options), { codeSize: 32, origin: 0x10_0000 });
  if (assembly.kind === "errors")
    throw new Error(assembly.errors.map(({ line, message }) => `line ${line}: ${message}`).join("\n"));
  const end = assembly.symbols.get("imageEnd");
  return assembly.bytes.slice(0, Number((end ?? 0n) - assembly.origin));
};
