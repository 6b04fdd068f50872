import { assemble } from "../asm/index.ts";
import {
  decimal,
  enterLongMode,
  hexadecimal,
  portTable,
  printLines,
  put,
  serialSetup,
  writePorts,
} from "./routines.ts";

/**
 * A small kernel of our own, for where Debian's cannot be had: it enters 64-bit mode with paging, takes timer, serial and exception
 * interrupts, and answers commands on serial port 1. A multiboot 1 image. Commands on its command line, separated by ";", run first.
 */

/** Text shown by help, and the label that a command starts at. */
// biome-ignore format: one row per command
const commands = [
  { name: "help",   runs: "help",       about: "this list" },
  { name: "cpu",    runs: "cpu",        about: "vendor, brand, feature bits" },
  { name: "regs",   runs: "regs",       about: "control registers, flags, stack pointer, time-stamp counter" },
  { name: "map",    runs: "map",        about: "the memory map that the boot loader gave" },
  { name: "mem",    runs: "dump",       about: "mem ADDRESS: 64 bytes of memory; what is not mapped faults" },
  { name: "ticks",  runs: "showTicks",  about: "timer interrupts so far, 100 in a second" },
  { name: "fault",  runs: "fault",      about: "execute an undefined instruction" },
  { name: "reset",  runs: "reset",      about: "start again" },
  { name: "off",    runs: "off",        about: "switch the machine off" },
] as const;

/** Exceptions that push an error code (SDM Vol. 3, "Protected-Mode Exceptions and Interrupts"). */
const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);
const TIMER_VECTOR = 0x20;
const SERIAL_VECTOR = 0x24;
const VECTORS = 0x30;

/** One entry of 16 bytes per vector: exceptions say which they are, interrupts go where they are served. */
const entries = (): string =>
  Array.from({ length: VECTORS }, (_, vector) => {
    if (vector === TIMER_VECTOR) return "align 16\n jmp timer";
    if (vector === SERIAL_VECTOR) return "align 16\n jmp serial";
    // Spurious interrupts of the 8259s: IRQ 7 and 15.
    if (vector >= 0x20) return "align 16\n iretq";
    return `align 16\n ${withErrorCode.has(vector) ? "" : "push 0\n"} push ${vector}\n jmp exception`;
  }).join("\n");

/** What stands before the header where nobody reads it: entered at the first byte in 64-bit mode, memory mapped to itself. */
const flatEntry = (commandLine: string): string => `
        bits 64
        mov rsp, stackTop
        mov dword [information], facts
        lgdt [gdtPointer]
        push 8
        push long
        retfq
        align 8
facts:  dd ${commandLine === "" ? 0 : 4}, 0, 0, 0, commands
        times 6 dd 0
        dd 0, 0
commands: db ${[...new TextEncoder().encode(commandLine), 0].join(", ")}
        align 4
`;

const source = (before: string): string => `
base    equ 0x100000
${before}
        bits 32
header: dd 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
        dd header, base, bss, end, entry

; 32-bit entry: page tables that map 4 GiB to itself, then long mode.
entry:  mov esp, stackTop
        mov [information], ebx
        mov dword [pml4], pdpt + 3
        mov edi, pdpt
        mov eax, directories + 3
.point: mov [edi], eax
        add eax, 4096
        add edi, 8
        cmp edi, pdpt + 32
        jb .point
        mov edi, directories
        mov eax, 0x83
.map:   mov [edi], eax
        add eax, 0x200000
        add edi, 8
        cmp edi, directories + 4 * 4096
        jb .map
        mov eax, pml4
        mov cr3, eax
${enterLongMode(0x80010000)}
        bits 64
long:   mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov rsp, stackTop
        mov rdi, idt
        mov rsi, vectors
        mov ecx, ${VECTORS}
.gate:  mov rax, rsi
        mov [rdi], ax
        mov dword [rdi + 2], 0x8e000008
        mov word [rdi + 4], 0x8e00
        shr rax, 16
        mov [rdi + 6], ax
        shr rax, 16
        mov [rdi + 8], eax
        mov dword [rdi + 12], 0
        add rdi, 16
        add rsi, 16
        dec ecx
        jnz .gate
        lidt [idtPointer]

; 8259 pair at vectors 20H and 28H, IRQ 0 and 4 open. 8254 at 100 Hz. 16550 with FIFOs and receive interrupts.
${writePorts("setup", ".ready")}
.ready: sti

        mov rsi, banner
        call print
        mov eax, [information]
        test dword [rax], 4
        jz prompt
        mov esi, [rax + 16]

; Commands of the command line, each ended by ";" or the end.
given:  mov rdi, line
.skip:  mov al, [rsi]
        inc rsi
        cmp al, ' '
        je .skip
        jmp .have
.copy:  mov al, [rsi]
        inc rsi
.have:  cmp al, ';'
        je .cut
        test al, al
        jz .last
        cmp rdi, line + 127
        jae .copy
        mov [rdi], al
        inc rdi
        jmp .copy
.last:  xor esi, esi
.cut:   mov byte [rdi], 0
        mov [rest], rsi
        cmp rdi, line
        je .next
        mov rsi, promptText
        call print
        mov rsi, line
        call print
        call newLine
        call perform
.next:  mov rsi, [rest]
        test rsi, rsi
        jnz given

prompt: mov rsi, promptText
        call print
        call readLine
        call perform
        jmp prompt

; The command in line: its first word is looked up.
perform:
        mov rbx, table
.entry: mov rsi, [rbx]
        test rsi, rsi
        jz .unknown
        mov rdi, line
.letter:
        mov al, [rsi]
        mov ah, [rdi]
        inc rsi
        inc rdi
        test al, al
        jz .ended
        cmp al, ah
        je .letter
.other: add rbx, 24
        jmp .entry
.ended: cmp ah, ' '
        je .run
        test ah, ah
        jnz .other
        dec rdi
.run:   mov rsi, rdi
        jmp [rbx + 8]
.unknown:
        cmp byte [line], 0
        je .nothing
        mov rsi, unknownText
        call print
.nothing:
        ret

help:   mov rbx, table
.entry: mov rsi, [rbx]
        test rsi, rsi
        jz .end
        mov rdi, rsi
        call print
        mov rcx, rsi
        sub rcx, rdi
        sub rcx, 9
        neg rcx
.pad:   mov al, ' '
        call put
        dec rcx
        jnz .pad
        mov rsi, [rbx + 16]
        call print
        call newLine
        add rbx, 24
        jmp .entry
.end:   ret

cpu:    xor eax, eax
        cpuid
        mov [text], ebx
        mov [text + 4], edx
        mov [text + 8], ecx
        mov byte [text + 12], 0
        mov rsi, text
        call print
        call newLine
        mov eax, 0x80000000
        cpuid
        cmp eax, 0x80000004
        jb .features
        mov edi, 0x80000002
        mov r8, text
.brand: mov eax, edi
        cpuid
        mov [r8], eax
        mov [r8 + 4], ebx
        mov [r8 + 8], ecx
        mov [r8 + 12], edx
        add r8, 16
        inc edi
        cmp edi, 0x80000005
        jb .brand
        mov byte [r8], 0
        mov rsi, text
        call print
        call newLine
.features:
        mov eax, 1
        cpuid
        mov r8d, ecx
        mov r9d, edx
        mov rsi, featuresText
        call print
        mov eax, r9d
        call hex32
        mov rsi, featuresMoreText
        call print
        mov eax, r8d
        call hex32
        jmp newLine

; Each line: name, value.
regs:   mov rsi, cr0Text
        mov rax, cr0
        call row
        mov rsi, cr3Text
        mov rax, cr3
        call row
        mov rsi, cr4Text
        mov rax, cr4
        call row
        mov ecx, 0xc0000080
        rdmsr
        mov rsi, eferText
        call row
        pushfq
        pop rax
        mov rsi, flagsText
        call row
        mov rax, rsp
        mov rsi, rspText
        call row
        rdtsc
        shl rdx, 32
        or rax, rdx
        mov rsi, tscText
row:    push rax
        call print
        pop rax
        call hex64
        jmp newLine

; Multiboot memory map: size, base, length, type.
map:    mov ebx, [information]
        mov r12d, [rbx + 44]
        mov ebx, [rbx + 48]
        add r12, rbx
.range: cmp rbx, r12
        jae .end
        mov rax, [rbx + 4]
        call hex64
        mov rsi, toText
        call print
        mov rax, [rbx + 4]
        add rax, [rbx + 12]
        dec rax
        call hex64
        mov rsi, ramText
        cmp dword [rbx + 20], 1
        je .type
        mov rsi, reservedText
.type:  call print
        mov eax, [rbx]
        lea rbx, [rbx + rax + 4]
        jmp .range
.end:   ret

dump:   call number
        mov r12, rax
        mov r13d, 4
.line:  mov rax, r12
        call hex64
        mov al, ':'
        call put
        mov r14d, 16
.byte:  mov al, ' '
        call put
        movzx eax, byte [r12]
        call hex8
        inc r12
        dec r14d
        jnz .byte
        call newLine
        dec r13d
        jnz .line
        ret

showTicks:
        mov rax, [ticks]
        call decimal
        mov rsi, ticksText
        jmp print

fault:  ud2
        ret

reset:  mov al, 6
        mov dx, 0xcf9
        out dx, al
        hlt

off:    mov rsi, offText
        call print
        mov dx, 0x604
        mov ax, 0x3c00
        out dx, ax
        hlt

; A number at rsi, hexadecimal with or without 0x, to rax.
number: xor eax, eax
.digit: movzx ecx, byte [rsi]
        inc rsi
        cmp cl, ' '
        je .digit
        cmp cl, 'x'
        je .digit
        test cl, cl
        jz .end
        or cl, 0x20
        sub cl, '0'
        cmp cl, 9
        jbe .add
        sub cl, 'a' - '0' - 10
        and cl, 15
.add:   shl rax, 4
        or rax, rcx
        jmp .digit
.end:   ret

; A line from the serial port, echoed, into line.
readLine:
        mov rdi, line
.key:   call get
        cmp al, 13
        je .end
        cmp al, 10
        je .end
        cmp al, 8
        je .erase
        cmp al, 127
        je .erase
        cmp al, ' '
        jb .key
        cmp rdi, line + 127
        jae .key
        mov [rdi], al
        inc rdi
        call put
        jmp .key
.erase: cmp rdi, line
        je .key
        dec rdi
        mov rsi, eraseText
        call print
        jmp .key
.end:   mov byte [rdi], 0
        jmp newLine

; The next byte typed: halted until the serial interrupt brings one.
get:    cli
        movzx eax, byte [tail]
        cmp al, [head]
        jne .have
        sti
        hlt
        jmp get
.have:  mov al, [ring + rax]
        inc byte [tail]
        sti
        ret

${printLines}
newLine:
        mov al, 13
        call put
        mov al, 10
${put}${hexadecimal}${decimal}
timer:  inc qword [ticks]
        push rax
        mov al, 0x20
        out 0x20, al
        pop rax
        iretq

serial: push rax
        push rcx
        push rdx
.more:  mov dx, 0x3fd
        in al, dx
        test al, 1
        jz .end
        mov dx, 0x3f8
        in al, dx
        movzx ecx, byte [head]
        mov [ring + rcx], al
        inc cl
        cmp cl, [tail]
        je .more
        mov [head], cl
        jmp .more
.end:   mov al, 0x20
        out 0x20, al
        pop rdx
        pop rcx
        pop rax
        iretq

; An exception: say which and where, and wait for the next command.
exception:
        mov rsi, exceptionText
        call print
        pop rax
        call decimal
        mov rsi, errorText
        call print
        pop rax
        call hex32
        mov rsi, atText
        call print
        pop rax
        call hex64
        mov rsi, addressText
        call print
        mov rax, cr2
        call hex64
        call newLine
        mov rsp, stackTop
        sti
        mov rsi, [rest]
        test rsi, rsi
        jnz given
        jmp prompt

        align 16
vectors:
${entries()}

        align 8
gdt:    dq 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtPointer:
        dw 23
        dq gdt
idtPointer:
        dw ${VECTORS * 16 - 1}
        dq idt

setup:
${portTable([
  [0x20, 0x11],
  [0x21, 0x20],
  [0x21, 0x04],
  [0x21, 0x01],
  [0xa0, 0x11],
  [0xa1, 0x28],
  [0xa1, 0x02],
  [0xa1, 0x01],
  [0x21, 0xee],
  [0xa1, 0xff],
  [0x43, 0x34],
  [0x40, 11932 & 0xff],
  [0x40, 11932 >> 8],
  ...serialSetup(0x0b),
  [0x3f9, 0x01],
])}

banner: db 10, "Worldswitch monitor: 64-bit mode, paging on, timer at 100 Hz. Try help, or off to leave.", 10, 0
promptText:     db "> ", 0
unknownText:    db "no such command; try help", 10, 0
featuresText:   db "features (CPUID 1): EDX ", 0
featuresMoreText: db ", ECX ", 0
cr0Text:        db "CR0    ", 0
cr3Text:        db "CR3    ", 0
cr4Text:        db "CR4    ", 0
eferText:       db "EFER   ", 0
flagsText:      db "RFLAGS ", 0
rspText:        db "RSP    ", 0
tscText:        db "TSC    ", 0
toText:         db " to ", 0
ramText:        db " RAM", 10, 0
reservedText:   db " reserved", 10, 0
ticksText:      db " timer interrupts", 10, 0
offText:        db "Switching off.", 10, 0
eraseText:      db 8, " ", 8, 0
exceptionText:  db "exception ", 0
errorText:      db ", error code ", 0
atText:         db ", at ", 0
addressText:    db ", CR2 ", 0

        align 8
table:
${commands.map(({ runs }, index) => ` dq name${index}, ${runs}, about${index}`).join("\n")}
        dq 0
${commands.map(({ name, about }, index) => `name${index}: db "${name}", 0\nabout${index}: db "${about}", 0`).join("\n")}

        align 4096
bss:
pml4    equ bss
pdpt    equ pml4 + 4096
directories equ pdpt + 4096
idt     equ directories + 4 * 4096
stackTop equ idt + 4096 + 16384
ring    equ stackTop
line    equ ring + 256
text    equ line + 128
ticks   equ text + 64
rest    equ ticks + 8
information equ rest + 8
head    equ information + 8
tail    equ head + 1
end     equ tail + 1
`;

const origin = 0x10_0000;

/** The image, assembled. */
export const monitorKernel = (): Uint8Array => image("");

/** The same without a header, for boot loaders that begin in 64-bit mode: what to load at 1 MiB and enter at its first byte. */
export const flatMonitorKernel = (commandLine = ""): Uint8Array => image(flatEntry(commandLine));
export const flatMonitorAddress = origin;

const image = (before: string): Uint8Array => {
  const assembly = assemble(source(before), { codeSize: 32, origin });
  if (assembly.kind === "errors")
    throw new Error(assembly.errors.map(({ line, message }) => `${line}: ${message}`).join("\n"));
  return assembly.bytes;
};
