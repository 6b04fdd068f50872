import { syscallVector } from "../abi.ts";
import { program, systemCall, taskState } from "./kernel-source.ts";

/** The programs of the paravirtual guest: ring 3, one page of variables and stack each. */

/** Commands of the shell: what is typed, where it goes on, what help says. */
// biome-ignore format: one row per command
const commands = [
  { name: "help",  runs: "help",  about: "this list" },
  { name: "ps",    runs: "ps",    about: "tasks: number, ticks of 10 ms used, state, name" },
  { name: "ticks", runs: "ticks", about: "timer interrupts so far, 100 in a second" },
  { name: "time",  runs: "time",  about: "seconds since 1970" },
  { name: "echo",  runs: "echo",  about: "echo TEXT" },
  { name: "count", runs: "count", about: "start a task that counts in the background, with the FPU" },
  { name: "fault", runs: "fault", about: "start a task that does something it may not" },
  { name: "calls", runs: "calls", about: "make 10000 system calls, none of which leaves the guest" },
  { name: "sleep", runs: "sleep", about: "wait a second" },
  { name: "read",  runs: "read",  about: "read SECTOR: the text in a sector of the disk" },
  { name: "write", runs: "write", about: "write SECTOR TEXT" },
  { name: "off",   runs: "off",   about: "switch the guest off" },
] as const;

// biome-ignore format: one row per fact
const stateNames = { [taskState.ready]: "ready   ", [taskState.sleeping]: "sleeping", [taskState.reading]: "reading ", [taskState.disk]: "disk    " };
const system = (name: keyof typeof systemCall): string =>
  `mov eax, ${systemCall[name]}\n int ${syscallVector}`;

/** Addresses of labels as programs see them are `label - U`. */
export const programsSource = `
        align 4096
programs:
U       equ programs - ${program.code}
line    equ ${program.page}
number  equ ${program.page + 0x80}
sectorOf equ ${program.page + 0x200}

shell:  mov esi, prompt - U
        call say
        call readLine
        call perform
        jmp shell

; The command in line: its first word is looked up.
perform:
        mov ebx, commandTable - U
.entry: mov esi, [ebx]
        test esi, esi
        jz .unknown
        mov edi, line
.letter:
        lodsb
        mov ah, [edi]
        inc edi
        test al, al
        jz .ended
        cmp al, ah
        je .letter
.other: add ebx, 12
        jmp .entry
.ended: cmp ah, " "
        je .run
        test ah, ah
        jnz .other
        dec edi
.run:   mov esi, edi
        jmp [ebx + 4]
.unknown:
        cmp byte [line], 0
        je .nothing
        mov esi, unknownText - U
        jmp say
.nothing:
        ret

help:   mov ebx, commandTable - U
.entry: mov esi, [ebx]
        test esi, esi
        jz .end
        call say
        mov esi, [ebx + 8]
        call say
        add ebx, 12
        jmp .entry
.end:   ret

ps:     xor ebp, ebp
.task:  mov ebx, ebp
        ${system("task")}
        cmp eax, -1
        je .end
        push ebx
        test al, al
        jz .next
        push eax
        mov eax, ebp
        call sayNumber
        mov esi, spaces - U
        call say
        mov eax, [esp]
        shr eax, 8
        call sayNumber
        mov esi, spaces - U
        call say
        pop eax
        movzx eax, al
        mov esi, [stateTable - U + eax * 4]
        call say
        mov esi, [esp]
        call say
.next:  pop ebx
        inc ebp
        jmp .task
.end:   ret

ticksOf: ${system("ticks")}
        call sayNumber
        jmp newLine
time:   ${system("wallclock")}
        call sayNumber
        jmp newLine
echo:   call say
        jmp newLine
count:  mov ebx, 1
        jmp start
fault:  mov ebx, 2
start:  ${system("spawn")}
        cmp eax, -1
        je .full
        push eax
        mov esi, startedText - U
        call say
        pop eax
        call sayNumber
        jmp newLine
.full:  mov esi, fullText - U
        jmp say
calls:  mov ecx, 10000
.one:   ${system("number")}
        dec ecx
        jnz .one
        mov esi, callsText - U
        jmp say
sleep:  mov ebx, 100
        ${system("sleep")}
        ret
off:    ${system("off")}

read:   call numberAt
        mov ebx, eax
        mov ecx, sectorOf
        ${system("diskRead")}
        test eax, eax
        jnz noDisk
        mov byte [sectorOf + 511], 0
        mov esi, sectorOf
        call say
        jmp newLine
write:  call numberAt
        push eax
        mov edi, sectorOf
        push edi
        xor eax, eax
        mov ecx, 128
        rep stosd
        pop edi
.copy:  lodsb
        stosb
        test al, al
        jnz .copy
        pop ebx
        mov ecx, sectorOf
        ${system("diskWrite")}
        test eax, eax
        jnz noDisk
        ret
noDisk: mov esi, diskText - U
        jmp say

; A decimal number at esi, spaces before it and one behind it, to eax.
numberAt:
        xor eax, eax
        cmp byte [esi], " "
        jne .digit
        inc esi
        jmp numberAt
.digit: movzx edx, byte [esi]
        sub edx, "0"
        cmp edx, 9
        ja .end
        imul eax, eax, 10
        add eax, edx
        inc esi
        jmp .digit
.end:   cmp byte [esi], " "
        jne .back
        inc esi
.back:  ret

; A line, echoed, into line.
readLine:
        mov edi, line
.key:   ${system("read")}
        cmp al, 13
        je .end
        cmp al, 10
        je .end
        cmp al, 8
        je .erase
        cmp al, 127
        je .erase
        cmp al, " "
        jb .key
        cmp edi, line + 127
        jae .key
        stosb
        lea ebx, [edi - 1]
        mov ecx, 1
        ${system("write")}
        jmp .key
.erase: cmp edi, line
        je .key
        dec edi
        mov esi, eraseText - U
        call say
        jmp .key
.end:   mov byte [edi], 0
newLine:
        mov esi, newLineText - U
; The text at esi, up to its zero byte.
say:    pushad
        mov ebx, esi
        xor ecx, ecx
.letter:
        cmp byte [ebx + ecx], 0
        je .have
        inc ecx
        jmp .letter
.have:  ${system("write")}
        popad
        ret
; eax in decimal
sayNumber:
        pushad
        mov edi, number + 12
        mov byte [edi], 0
        mov ecx, 10
.digit: xor edx, edx
        div ecx
        add dl, "0"
        dec edi
        mov [edi], dl
        test eax, eax
        jnz .digit
        mov esi, edi
        call say
        popad
        ret

; Adds 1 to a number in the FPU, five times, with a pause between; says the sum.
counter:
        fldz
        mov ebp, 5
.add:   fld1
        faddp st1, st0
        mov ebx, 10
        ${system("sleep")}
        mov ecx, 200000                 ; and works until its time is over
.work:  dec ecx
        jnz .work
        dec ebp
        jnz .add
        sub esp, 4
        fistp dword [esp]
        pop eax
        mov esi, countedText - U
        call say
        call sayNumber
        mov esi, newLineText - U
        call say
        ${system("exit")}

; Ring 3 has no business in the kernel.
faulter:
        mov eax, [0xc0100000]
        ${system("exit")}

        align 4
commandTable:
${commands.map(({ runs }, n) => ` dd name${n} - U, ${runs === "ticks" ? "ticksOf" : runs} - U, about${n} - U`).join("\n")}
        dd 0
stateTable:
${Array.from({ length: 5 }, (_, n) => ` dd state${n} - U`).join("\n")}
${Array.from({ length: 5 }, (_, n) => `state${n}: db "${(stateNames as Record<number, string>)[n] ?? ""}  ", 0`).join("\n")}
${commands.map(({ name, about }, n) => `name${n}: db "${name}", 0\nabout${n}: db "${" ".repeat(8 - name.length)}${about}", 10, 0`).join("\n")}
prompt: db "$ ", 0
spaces: db "   ", 0
newLineText: db 10, 0
eraseText: db 8, " ", 8, 0
unknownText: db "no such command; try help", 10, 0
startedText: db "started task ", 0
fullText: db "no task is free", 10, 0
callsText: db "done", 10, 0
countedText: db "counted to ", 0
diskText: db "no such sector, or no disk", 10, 0
idleText: db "idle", 10, 0
shellText: db "shell", 10, 0
counterText: db "count", 10, 0
faulterText: db "fault", 10, 0
programsEnd:

; For the kernel: where programs begin, as they see it, and their names.
programTable:
        dd shell - U, shellText - U, counter - U, counterText - U, faulter - U, faulterText - U
programTableEnd:
idleName equ idleText - U
`;
