/**
 * Assembly that guest kernels have in common, as text to put into a source: the way from 32-bit to 64-bit mode, and output on serial
 * port 1. A routine keeps every register that its comment does not name.
 */

/** The first port of serial port 1, a 16550. */
export const COM1 = 0x3f8;

/** A port and the byte that is written to it. */
export type PortWrite = readonly [port: number, byte: number];

/** 115,200 baud, 8 data bits, FIFOs on and empty; `modemControl`: DTR 1, RTS 2, OUT2 (interrupts reach the board) 8. */
// biome-ignore format: one row
export const serialSetup = (modemControl: number): readonly PortWrite[] =>
  [[COM1 + 3, 0x83], [COM1, 0x01], [COM1 + 1, 0x00], [COM1 + 3, 0x03], [COM1 + 2, 0x07], [COM1 + 4, modemControl]];

/** A table for `writePorts`. */
export const portTable = (writes: readonly PortWrite[]): string =>
  [...writes.map(([port, byte]) => ` dw ${port}\n db ${byte}`), "        dw 0"].join("\n");

/** Write a table to its ports, then go to `next`: 64-bit code. Changes RAX, RDX, RSI. */
export const writePorts = (table: string, next: string): string => `
        mov rsi, ${table}
.port:  movzx edx, word [rsi]
        test edx, edx
        jz ${next}
        mov al, [rsi + 2]
        out dx, al
        add rsi, 3
        jmp .port`;

/** From 32-bit code, with CR3 loaded, to the 64-bit code at `long`; `cr0`: bits to set in CR0. The first code segment of `gdtPointer` is 64-bit. */
export const enterLongMode = (cr0: number): string => `
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, ${cr0}
        mov cr0, eax
        lgdt [gdtPointer]
        push 8
        push long
        retf
`;

/** put: AL to the serial port. */
export const put = `
put:    push rdx
        push rax
        mov dx, ${COM1 + 5}
.wait:  in al, dx
        test al, 0x20
        jz .wait
        mov dx, ${COM1}
        pop rax
        out dx, al
        pop rdx
        ret
`;

/** print: the text at RSI, up to a zero byte; RSI is then there. Changes AL. */
export const print = `
print:  mov al, [rsi]
        test al, al
        jz .end
        call put
        inc rsi
        jmp print
.end:   ret
`;

/** The same for terminals: a carriage return before every line feed. */
export const printLines = `
print:  mov al, [rsi]
        test al, al
        jz .end
        cmp al, 10
        jne .plain
        mov al, 13
        call put
        mov al, 10
.plain: call put
        inc rsi
        jmp print
.end:   ret
`;

/** hex64, hex32, hex16, hex8: that much of RAX, in all its hexadecimal digits. */
export const hexadecimal = `
hex64:  push rax
        shr rax, 32
        call hex32
        pop rax
hex32:  push rax
        shr eax, 16
        call hex16
        pop rax
hex16:  push rax
        shr eax, 8
        call hex8
        pop rax
hex8:   push rax
        shr eax, 4
        call .digit
        pop rax
.digit: push rax
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 'a' - '9' - 1
.put:   call put
        pop rax
        ret
`;

/** hex: RAX in hexadecimal without leading zeros. Changes RAX. */
export const shortHexadecimal = `
hex:    push rcx
        push rdx
        mov rdx, rax
        mov ecx, 60
.skip:  mov rax, rdx
        shr rax, cl
        test eax, 15
        jnz .digit
        sub ecx, 4
        jnz .skip
.digit: mov rax, rdx
        shr rax, cl
        and eax, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 'a' - '9' - 1
.put:   call put
        sub ecx, 4
        jns .digit
        pop rdx
        pop rcx
        ret
`;

/** decimal: RAX in decimal. Changes RAX, RCX, RDX. */
export const decimal = `
decimal:
        mov ecx, 10
        xor edx, edx
        div rcx
        push rdx
        test rax, rax
        jz .last
        call decimal
.last:  pop rax
        add al, '0'
        jmp put
`;
