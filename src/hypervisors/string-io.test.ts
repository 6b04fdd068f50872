import { describe, expect, it } from "vitest";
import { Machine } from "../api/index.ts";
import { assemble } from "../asm/index.ts";

/** INS and OUTS under the hypervisors with VT-x: each emulates them in its own way. Port E9H prints, 511H gives "QEMU", F4H ends. */

const origin = 0x20_0000;
const program = `
        lgdt [gdtr]
        lidt [idtr]
        mov rsp, stack
        mov rax, handler
        mov [idt + 16 * 14], ax
        shr rax, 16
        mov [idt + 16 * 14 + 6], ax
        mov word [idt + 16 * 14 + 2], 8
        mov byte [idt + 16 * 14 + 5], 0x8e

        mov dx, 0x510                   ; the signature of the configuration device, four bytes
        xor eax, eax
        out dx, ax
        mov dx, 0x511
        mov rdi, buffer
        mov ecx, 4
        rep insb
        cmp rdi, buffer + 4
        jne wrong
        test rcx, rcx
        jnz wrong
        mov dx, 0xe9
        mov rsi, buffer
        mov ecx, 4
        rep outsb
        mov rsi, text
        outsb                           ; one element, no count
        std
        mov rsi, text + 3
        mov ecx, 3
        rep outsb
        cld
        cmp rsi, text
        jne wrong
        xor ecx, ecx                    ; none at all
        rep outsb
        mov ecx, 0xc0000100             ; FS.base
        mov eax, text - 16
        xor edx, edx
        wrmsr
        mov dx, 0xe9
        mov esi, 16
        fs outsb
        mov rsi, 0x100000000            ; not mapped
        mov rbp, rsi
        mov ecx, 2
        rep outsb
        jmp wrong
handler:
        pop rbx                         ; the error code: a read of what is not there
        test rbx, rbx
        jnz wrong
        mov rax, cr2
        cmp rax, rbp
        jne wrong
        cmp rcx, 2                      ; nothing of it is done
        jne wrong
        mov al, '!'
        out 0xe9, al
        mov al, 3
        jmp end
wrong:  mov al, 9
end:    out 0xf4, al
stop:   jmp stop
        align 8
gdtr:   dw 0x17
        dq gdt
idtr:   dw 0xfff
        dq idt
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
text:   db "abcd"
buffer: dd 0
        align 16
idt:    times 4096 db 0
        times 512 db 0
stack:
`;

const assembly = assemble(program, { codeSize: 64, origin });

describe.each(["bhyve", "kvm", "akaros"] as const)("INS and OUTS under %s", (hypervisor) => {
  it("move elements up and down, with and without a count, by way of a segment, up to a page that is not there", async () => {
    if (assembly.kind === "errors") throw new Error(JSON.stringify(assembly.errors));
    const machine = await Machine.create({ hypervisor, memoryMiB: 16 });
    let text = "";
    machine.debugcon.on("data", (bytes) => {
      text += new TextDecoder().decode(bytes);
    });
    const boot = { image: assembly.bytes, protocol: "flat", mode: "long64", address: origin } as const;
    expect((await machine.boot(boot)).message).toBeUndefined();
    const { exitStatus } = await machine.run({ maxInstructions: 2_000_000 });
    expect(text).toBe("QEMUadcba!");
    expect(exitStatus).toBe(7);
  });
});
