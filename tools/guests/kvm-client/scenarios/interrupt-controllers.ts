import { flat, realMode, type SystemRegisters } from "../kvm.ts";
import { guestCode, type Scenario, scenario, tellTale } from "../scenario.ts";
import { gate32, segmentDescriptor } from "./descriptors.ts";

const GDT = 0x4000;
const IDT = 0x4800;
const LOCAL_APIC = 0xfee0_0000;
const TIMER_VECTOR = 0x41;
const IPI_VECTOR = 0x42;
/** Where the second processor starts: page number of its STARTUP IPI. */
const STARTUP_PAGE = 2;

/** 8254 counter 0 at 100 Hz through the 8259: three interrupts, each wakes HLT; KVM serves all of that without the client. */
export const intervalTimerScenario: Scenario = scenario("pit", (s) => {
  const text = `
        mov al, 0x11
        out 0x20, al
        mov al, 0x20
        out 0x21, al
        mov al, 4
        out 0x21, al
        mov al, 1
        out 0x21, al
        mov al, 0xfe
        out 0x21, al
        mov al, 0x34
        out 0x43, al
        mov al, 0x9c
        out 0x40, al
        mov al, 0x2e
        out 0x40, al
        xor bx, bx
wait:   cli
        cmp bx, 3
        je done
        sti
        hlt
        jmp wait
done:   mov al, bl
        out 0x90, al
end:    hlt

serve:  inc bx
        cmp bx, 3
        jne .acknowledge
        mov al, 0xff
        out 0x21, al
.acknowledge:
        mov al, 0x20
        out 0x20, al
        iret
`;
  const code = guestCode(16, 0x1000, text);
  s.need("IRQCHIP");
  s.need("PIT2");
  s.create({
    before: () => {
      s.interruptControllers();
      s.intervalTimer();
    },
  });
  s.load(code);
  s.store(4 * 0x20, code.label("serve"));
  s.codeTypeIsOpen();
  s.set({ ...tellTale(16), rip: 0x1000n }, realMode());
  s.out(0x90, [3]);
  const end = code.label("end");
  s.registers("at the end", { rax: 0x1103n, rbx: 3n, rflags: 0x46n, rip: end - 2n }, { orRip: end });
  s.ok("three timer interrupts through KVM's 8254 and 8259 wake HLT");
});

/** 32-bit code without paging, interrupts at two vectors. */
const flatGuest = (s: Scenario, text: string): ReturnType<typeof guestCode> => {
  const code = guestCode(32, 0x1000, text);
  s.load(code);
  const descriptors = [segmentDescriptor({ type: 0xb, size: 32 }), segmentDescriptor({ type: 3, size: 32 })];
  s.store(GDT, 0, ...descriptors);
  s.store(IDT + 8 * TIMER_VECTOR, gate32(8, code.label("timer"), 0), gate32(8, code.label("ipi"), 0));
  const data = flat(0x10, "data");
  const system: SystemRegisters = {
    ...realMode(),
    ...{ cs: flat(8, "code32"), ss: data, ds: data, es: data, fs: data, gs: data, cr0: 0x11n },
    gdt: { base: BigInt(GDT), limit: 0x17 },
    idt: { base: BigInt(IDT), limit: 8 * (IPI_VECTOR + 1) - 1 },
  };
  s.supportedCpuid();
  s.set({ ...tellTale(16), rip: 0x1000n, rsi: BigInt(LOCAL_APIC) }, system);
  return code;
};

const handlers = `
timer:  inc ebx
        mov dword [esi + 0xb0], 0
        iretd
ipi:    inc edi
        mov dword [esi + 0xb0], 0
        iretd
`;

/** The local APIC's timer and an IPI to itself, in the APIC that KVM keeps. */
export const localApicScenario: Scenario = scenario("local-apic", (s) => {
  s.need("IRQCHIP");
  s.create({ before: () => s.interruptControllers() });
  const code = flatGuest(
    s,
    `
        xor ebx, ebx
        xor edi, edi
        mov dword [esi + 0xf0], 0x1ff
        mov dword [esi + 0x300], ${0x4_4000 + IPI_VECTOR}
        sti
        nop
        nop
        cli
        mov dword [esi + 0x3e0], 0xb
        mov dword [esi + 0x320], ${TIMER_VECTOR}
        mov dword [esi + 0x380], 100000
wait:   cli
        cmp ebx, 1
        je done
        sti
        hlt
        jmp wait
done:   mov eax, [esi + 0x390]
        mov ecx, [esi + 0x30]
        and ecx, 0xff
        cmp al, al
        out 0x91, eax
end:    hlt
${handlers}`,
  );
  s.out(0x91, [0, 0, 0, 0]);
  const end = code.label("end");
  const served = { rax: 0n, rbx: 1n, rcx: 0x14n, rdi: 1n, rflags: 0x46n, rip: end - 2n };
  s.registers("at the end", served, { orRip: end });
  s.ok("an IPI to itself and the timer's interrupt out of HLT, in KVM's local APIC");
});

/** INIT and STARTUP from one processor to the other; both meet in memory, and each leaves with an OUT. */
export const twoProcessorsScenario: Scenario = scenario("two-processors", (s) => {
  s.need("IRQCHIP");
  s.create({ before: () => s.interruptControllers() });
  s.secondProcessor();
  const second = guestCode(
    16,
    STARTUP_PAGE << 12,
    `
        xor ax, ax
        mov ds, ax
        lock inc dword [0x7800]
.wait:  pause
        cmp dword [0x7804], 0x600d
        jne .wait
        mov al, 0x22
        out 0x93, al
        hlt
`,
  );
  s.load(second);
  s.store(0x7800, 0);
  const code = flatGuest(
    s,
    `
        mov dword [esi + 0xf0], 0x1ff
        mov dword [esi + 0x300], 0xc4500
        mov dword [esi + 0x300], ${0xc_4600 + STARTUP_PAGE}
wait:   pause
        cmp dword [0x7800], 1
        jne wait
        mov dword [0x7804], 0x600d
        mov al, 0x11
        out 0x92, al
end:    hlt
${handlers}`,
  );
  s.spawnSecond();
  s.out(0x92, [0x11]);
  const end = code.label("end");
  s.registers("at the end", { rflags: 0x46n, rip: end - 2n }, { orRip: end });
  s.joinSecond(0x93, [0x22]);
  s.ok("INIT and STARTUP start the second processor in a thread of its own; both see each other's stores");
});
