import { GUESTDBG_SINGLE_STEP, kvmRun, realMode } from "../kvm.ts";
import { longMode, longModePaging } from "../long-mode.ts";
import { guestCode, type Scenario, scenario, tellTale } from "../scenario.ts";
import { gate64, segmentDescriptor } from "./descriptors.ts";

const GDT = 0x4000;
const IDT = 0x4800;
const VECTOR = 0x40;
const NMI_VECTOR = 2;
/** Set where the delivery itself met an exit for a fault and was repeated. */
const RESUME_FLAG = 0x1_0000n;

const interruptProgram = `
        cli
        out 0x50, al
closed: sti
        nop
open:   nop
        out 0x52, al
served: sti
        hlt
halted: out 0x54, al
woken:  hlt

serve:  mov bx, 0x1234
        out 0x51, al
inServe:
        iret
`;

/** Interrupts that the client injects, when the guest can take them. */
export const interruptScenario: Scenario = scenario("interrupt", (s) => {
  const code = guestCode(16, 0x1000, interruptProgram);
  const at = (name: string): bigint => code.label(name);
  s.create();
  s.load(code);
  s.store(4 * VECTOR, at("serve"));
  s.codeTypeIsOpen();
  s.set({ ...tellTale(16), rip: 0x1000n, rflags: 0x202n }, realMode());
  s.out(0x50, [0x11]);
  s.registers("after CLI", { rflags: 2n, rip: at("closed") - 2n }, { orRip: at("closed") });
  s.interruptible(false, false, "ready_for_interrupt_injection and if_flag after CLI");
  s.ok("CLI: no interrupt can be injected");
  s.setRunByte(kvmRun.requestInterruptWindow, 1);
  s.run("IRQ_WINDOW_OPEN", "STI");
  s.registers("when the window opens", { rflags: 0x202n, rip: at("open") });
  s.interruptible(true, true, "ready_for_interrupt_injection and if_flag when the window opens");
  s.ok("the interrupt window opens one instruction after STI");
  s.setRunByte(kvmRun.requestInterruptWindow, 0);
  s.interrupt(VECTOR);
  s.out(0x51, [0x11]);
  const inServe = { rbx: 0x1234n, rflags: 2n, rsp: 0x7ffan, rip: at("inServe") - 2n };
  s.registers("in the handler", inServe, { orRip: at("inServe") });
  const frame = new Uint8Array([0, 0, Number(at("open") & 0xffn), Number(at("open") >> 8n), 0, 0, 2, 2]);
  s.memory(0x7ff8, frame, "the interrupt's frame");
  s.ok("KVM_INTERRUPT reaches the guest's handler");
  s.out(0x52, [0x11]);
  s.registers(
    "after IRET",
    { rflags: 0x202n, rsp: 0x8000n, rip: at("served") - 2n },
    { orRip: at("served") },
  );
  s.ok("IRET goes on where the interrupt came");
  s.run("HLT", "HLT with interrupts enabled");
  s.registers("at HLT", { rip: at("halted") });
  s.interrupt(VECTOR);
  s.out(0x51, [0x11]);
  s.registers(
    "in the handler",
    { rsp: 0x7ffan, rflags: 2n, rip: at("inServe") - 2n },
    { orRip: at("inServe") },
  );
  s.out(0x54, [0x11]);
  s.registers("after HLT", { rsp: 0x8000n, rflags: 0x202n, rip: at("woken") - 2n }, { orRip: at("woken") });
  s.ok("an interrupt after HLT is served, and HLT is over");
});

/** In 64-bit mode, as KVM without "unrestricted guest" does not keep a second NMI waiting in real mode. */
export const nonMaskableInterruptScenario: Scenario = scenario("nmi", (s) => {
  const text = `
        out 0x58, al
begun:  nop
        out 0x5b, al
ended:  hlt
serve:  out 0x59, al
first:  out 0x5a, al
second: iretq
`;
  const code = guestCode(64, 0x1000, text);
  const at = (name: string): bigint => code.label(name);
  s.need("USER_NMI");
  s.create();
  longModePaging(s);
  s.load(code);
  s.store(GDT, 0, segmentDescriptor({ type: 0xb, size: 64 }), segmentDescriptor({ type: 3, size: 32 }));
  s.store(IDT + 16 * NMI_VECTOR, ...gate64(8, at("serve")));
  const tables = { gdt: { base: BigInt(GDT), limit: 0x17 }, idt: { base: BigInt(IDT), limit: 0xff } };
  s.supportedCpuid();
  s.set({ ...tellTale(64), rsp: 0x6000n, rip: 0x1000n, rflags: 0x202n }, { ...longMode(), ...tables });
  const frame = new Uint8Array(new BigUint64Array([at("begun"), 8n, 0x202n, 0x6000n, 0x10n]).buffer);
  s.out(0x58, [0x11]);
  s.nonMaskableInterrupt();
  s.out(0x59, [0x11]);
  const inside = { rsp: 0x6000n - 40n, rflags: 2n, rip: at("first") - 2n };
  s.registers("in the handler", inside, { orRip: at("first") });
  s.maskMemory(0x6000 - 24, ~RESUME_FLAG);
  s.memory(0x6000 - 40, frame, "the NMI's frame");
  s.ok("KVM_NMI reaches the guest's handler");
  // Without "virtual NMIs" KVM only guesses when the first one's handler is over.
  s.needSwitch("kvm_intel", "vnmi");
  s.nonMaskableInterrupt();
  s.out(0x5a, [0x11]);
  s.registers("still in the first handler", { rip: at("second") - 2n }, { orRip: at("second") });
  s.ok("a second NMI waits while the first is served");
  s.out(0x59, [0x11]);
  s.registers("in the second handler", { rip: at("first") - 2n }, { orRip: at("first") });
  s.maskMemory(0x6000 - 24, ~RESUME_FLAG);
  s.memory(0x6000 - 40, frame, "the second frame");
  s.ok("it comes right after the first one's IRET");
  s.out(0x5a, [0x11]);
  s.out(0x5b, [0x11]);
  s.registers("after both", { rsp: 0x6000n, rflags: 0x202n, rip: at("ended") - 2n }, { orRip: at("ended") });
  s.ok("IRET goes on where the first NMI came");
});

export const singleStepScenario: Scenario = scenario("single-step", (s) => {
  const text = `
        inc ax
one:    add bx, cx
two:    jmp near three
        hlt
three:  push ax
four:   out 0x60, al
five:   hlt`;
  const code = guestCode(16, 0x1000, text);
  const at = (name: string): bigint => code.label(name);
  s.need("SET_GUEST_DEBUG");
  s.create();
  s.load(code);
  s.codeTypeIsOpen();
  s.set({ ...tellTale(16), rip: 0x1000n }, realMode());
  s.guestDebug(GUESTDBG_SINGLE_STEP);
  s.debugStep(at("one"), "INC");
  // 1112H and 5555H have an even number of bits in their lower bytes.
  s.registers("after INC", { rax: 0x1112n, rip: at("one"), rflags: 6n });
  s.ok("a step: INC");
  s.debugStep(at("two"), "ADD");
  s.registers("after ADD", { rbx: 0x5555n, rip: at("two"), rflags: 6n });
  s.ok("a step: ADD");
  s.debugStep(at("three"), "JMP");
  s.registers("after JMP", { rip: at("three") });
  s.ok("a step: JMP");
  s.debugStep(at("four"), "PUSH");
  s.registers("after PUSH", { rsp: 0x7ffen, rip: at("four") });
  s.ok("a step: PUSH");
  s.guestDebug(0);
  s.out(0x60, [0x12]);
  s.registers("after the steps", { rip: at("five") - 2n }, { orRip: at("five") });
  s.ok("without KVM_GUESTDBG_SINGLESTEP it runs on");
});
