import { selector } from "./abi.ts";
import { faultInSwitcher, regs, state } from "./layout.ts";
import type { Quirks } from "./quirks.ts";

/** Vectors for which the processor pushes an error code. */
const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);
/** Where the stub of a vector goes: the host's kernel decides, an NMI is dropped, the host's own handler runs. */
export const destinationOf = (vector: number): "return_to_host" | "handle_nmi" | "deliver_to_host" =>
  vector === 2 ? "handle_nmi" : vector < 32 || vector === 128 ? "return_to_host" : "deliver_to_host";

const stub = (vector: number): string =>
  `trap${vector}: ${withErrorCode.has(vector) ? "" : "push dword 0\n"} push dword ${vector}\n jmp ${destinationOf(vector)}`;

/** From the guest's frame to the host's registers. Leaves the trap number in EBX and the address of the two pages in EAX. */
const switchToHost = (quirks: Quirks): string => `
        push es
        push ds
        push fs
        push eax
        push gs
        push ebp
        push edi
        push esi
        push edx
        push ecx
        push ebx                        ; struct lguest_regs is complete
        mov eax, ${selector.LGUEST_DS}
        mov ds, eax
${
  quirks.pagesByOffset
    ? `        lea eax, [esp - ${regs.ebx}]`
    : `        mov eax, esp
        and eax, -4096                  ; right wherever in the page ESP is
        lea edx, [eax + ${regs.ebx}]
        cmp edx, esp
        je $ + 12                       ; not where a guest's trap leaves it: the Switcher itself has faulted
        mov dword [eax + ${regs.trapnum}], ${faultInSwitcher}`
}
        mov ebx, [eax + ${regs.trapnum}] ; now, for the next instruction takes the guest's page away
        mov edx, [eax + ${state.host_cr3}]
        mov cr3, edx                    ; the second page can be written again
        and byte [eax + ${state.guest_gdt + selector.TSS + 5}], 0xfd ; the guest's TSS is no longer busy
        lgdt [eax + ${state.host_gdt_desc}]
        lidt [eax + ${state.host_idt_desc}]
${
  quirks.keepsStackSegment
    ? `        mov esp, [eax + ${state.host_sp}]`
    : `        lss esp, [eax + ${state.host_stack}] ; SS too came from the guest's TSS`
}
        mov edx, ${selector.TSS}
        ltr dx
        pop ebp
        pop fs
        pop gs
        pop ds
        pop es                          ; ESP is at the frame of PUSHF and the far call`;

/**
 * The Switcher, assembled at 0 and moved to its window, so jumps are relative and only the table at the end is adjusted.
 * EAX = linear address of this processor's two pages, EBX = physical address of the guest's shadow page directory.
 */
export const switcherSource = (quirks: Quirks): string => `
        bits 32
switch_to_guest:
        push es                         ; the host's, on the host's stack, above the frame of PUSHF and the far call
        push ds
        push gs
        push fs
        push ebp
        mov [eax + ${state.host_sp}], esp
        mov [eax + ${state.host_stack}], esp
        lea esp, [eax + ${regs.ebx}]    ; a stack that will do: an NMI pushes into the spare part of the page
        ${quirks.tablesInOrder ? `lgdt [eax + ${state.guest_gdt_desc}]` : `lidt [eax + ${state.guest_idt_desc}]`}
        ${quirks.tablesInOrder ? `lidt [eax + ${state.guest_idt_desc}]` : `lgdt [eax + ${state.guest_gdt_desc}]`}
        mov edx, ${selector.TSS}
        ltr dx                          ; sets the busy bit in the second page, which CR3 makes read-only
        mov edx, [eax + ${state.host_gdt_desc + 2}]
        and byte [edx + ${selector.TSS + 5}], 0xfd ; the host's TSS is no longer busy, or the LTR below would fault
        mov cr3, ebx                    ; ESP now points into the guest's own page of registers
        pop ebx
        pop ecx
        pop edx
        pop esi
        pop edi
        pop ebp
        pop gs
        pop eax
        pop fs
        pop ds
        pop es
        add esp, 8                      ; trapnum and errcode
        iretd                           ; ring 1 or 3: ESP is now the end of the page, as TSS.esp0 says

handle_nmi:
        add esp, 8                      ; it is lost
        iretd

return_to_host:
${switchToHost(quirks)}
        iretd                           ; behind the far call, interrupts still off

deliver_to_host:
${switchToHost(quirks)}
        mov edx, [eax + ${state.host_idt_desc + 2}]
        mov eax, [edx + ebx * 8]        ; the gate of the host's IDT: the handler's address is in two halves
        mov edx, [edx + ebx * 8 + 4]
        and eax, 0xffff
        and edx, 0xffff0000
        or eax, edx
        jmp eax                         ; as if the processor had come from behind the far call

${Array.from({ length: 256 }, (_, vector) => stub(vector)).join("\n")}

        align 4
default_idt_entries:
${Array.from({ length: 256 }, (_, vector) => ` dd trap${vector}`).join("\n")}
end:
`;
