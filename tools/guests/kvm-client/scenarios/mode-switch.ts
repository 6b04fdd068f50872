import { flat, realMode, type Segment } from "../kvm.ts";
import { longModePaging, PML4 } from "../long-mode.ts";
import { guestCode, type Scenario, scenario, tellTale } from "../scenario.ts";
import { segmentDescriptor } from "./descriptors.ts";

const GDT = 0x4000;
const IA32_EFER = 0xc000_0080;

const program = `
        bits 16
        out 0x40, al
real:   lgdt [pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:protected

        bits 32
protected:
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        out 0x41, al
in32:   mov eax, cr4
        or al, 0x20
        mov cr4, eax
        mov eax, ${PML4}
        mov cr3, eax
        mov ecx, ${IA32_EFER}
        rdmsr
        or ah, 1
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        out 0x42, al
compatible:
        jmp 0x18:long

        bits 64
long:   mov r8, 0x1122334455667788
        out 0x43, al
in64:   push 8
        push back
        o64 retf

        bits 32
back:   mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov ecx, ${IA32_EFER}
        rdmsr
        and ah, 0xfe
        wrmsr
        mov eax, cr4
        and al, 0xdf
        mov cr4, eax
        out 0x44, al
again32:
        jmp 0x20:small

        bits 16
small:  mov ax, 0x28
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:last
last:   xor ax, ax
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        cmp ax, ax
        out 0x45, al
end:    hlt
halted: jmp $
pointer:
        dw 0x2f
        dd ${GDT}
`;

/** A guest that goes the way of every operating system: real mode, 32-bit, 64-bit; and back. */
export const modeSwitchScenario: Scenario = scenario("mode-switch", (s) => {
  const code = guestCode(16, 0x1000, program);
  const before = (name: string): bigint => code.label(name) - 2n;
  const orRip = (name: string): { orRip: bigint } => ({ orRip: code.label(name) });
  s.create();
  s.load(code);
  longModePaging(s);
  const descriptors = [
    segmentDescriptor({ type: 0xb, size: 32 }),
    segmentDescriptor({ type: 3, size: 32 }),
    segmentDescriptor({ type: 0xb, size: 64 }),
    segmentDescriptor({ type: 0xb, size: 16 }),
    segmentDescriptor({ type: 3, size: 16 }),
  ];
  s.store(GDT, 0, ...descriptors);
  s.supportedCpuid();
  s.codeTypeIsOpen();
  s.set({ ...tellTale(16), rip: 0x1000n, rax: 0x5an, rsp: 0x6000n }, realMode());
  s.out(0x40, [0x5a]);
  s.registers("in real mode", {}, orRip("real"));
  s.ok("real mode");

  s.out(0x41, [0x10]);
  const data = (segment: Segment) => ({ ds: segment, es: segment, fs: segment, gs: segment, ss: segment });
  const protectedState = {
    ...data(flat(0x10, "data")),
    cs: flat(8, "code32"),
    cr0: 0x6000_0011n,
    gdt: { base: BigInt(GDT), limit: 0x2f },
  };
  const afterSwitch = { rax: 0x6000_0010n, rflags: 6n, rip: before("in32") };
  s.registers("in protected mode", afterSwitch, { system: protectedState, ...orRip("in32") });
  s.ok("LGDT, CR0.PE, a far jump: 32-bit protected mode");

  s.out(0x42, [0x11]);
  const paging = { cr0: 0xe000_0011n, cr3: BigInt(PML4), cr4: 0x20n, efer: 0x500n };
  const compatible = {
    rax: 0xe000_0011n,
    rcx: BigInt(IA32_EFER),
    rdx: 0n,
    rflags: 0x86n,
    rip: before("compatible"),
  };
  s.registers("in compatibility mode", compatible, { system: paging, ...orRip("compatible") });
  s.ok("CR4.PAE, EFER.LME, CR0.PG: compatibility mode, EFER.LMA is set");

  s.out(0x43, [0x11]);
  const wide = { r8: 0x1122_3344_5566_7788n, rip: before("in64") };
  s.registers("in 64-bit mode", wide, { system: { cs: flat(0x18, "code64") }, ...orRip("in64") });
  s.ok("a far jump: 64-bit mode");

  s.out(0x44, [0]);
  const leftLong = { rax: 0n, rflags: 0x46n, rip: before("again32") };
  const plain = { cs: flat(8, "code32"), cr0: 0x6000_0011n, cr4: 0n, efer: 0n };
  s.registers("in protected mode again", leftLong, { system: plain, ...orRip("again32") });
  s.ok("CR0.PG cleared: out of IA-32e mode");

  s.out(0x45, [0]);
  const { cs, ds } = realMode();
  const realAgain = { ...data(ds), cs, cr0: 0x6000_0010n };
  const leftProtected = { rax: 0x6000_0000n, rip: before("end") };
  s.registers("in real mode again", leftProtected, { system: realAgain, ...orRip("end") });
  s.ok("CR0.PE cleared, a far jump: real mode again");
  s.run("HLT", "HLT");
  s.registers("at HLT", { rip: code.label("halted") });
  s.ok("HLT");
});

export const shutdownScenario: Scenario = scenario("shutdown", (s) => {
  s.create();
  s.load(guestCode(32, 0x1000, "out 0x10, al\n ud2"));
  const segments = { cs: flat(8, "code32"), ss: flat(0x10, "data"), cr0: 0x11n };
  s.set({ rip: 0x1000n, rsp: 0x8000n }, { ...realMode(), ...segments, idt: { base: 0n, limit: 0 } });
  s.out(0x10, [0]);
  s.run("SHUTDOWN", "a triple fault");
  s.ok("a triple fault ends in KVM_EXIT_SHUTDOWN");
});

/** Code outside memory: KVM fetches it like a device's register, finds nothing to emulate, and says so. */
export const nowhereScenario: Scenario = scenario("nowhere", (s) => {
  s.create();
  s.load(guestCode(32, 0x1000, "mov eax, 0xd0000000\n jmp eax"));
  const segments = { cs: flat(8, "code32"), ss: flat(0x10, "data"), cr0: 0x11n };
  s.set({ rip: 0x1000n, rsp: 0x8000n }, { ...realMode(), ...segments });
  s.run("INTERNAL_ERROR", "a jump to where no memory is");
  s.registers("after the jump", { rax: 0xd000_0000n, rip: 0xd000_0000n });
  s.ok("a jump to where no memory is ends in KVM_EXIT_INTERNAL_ERROR, at its target");
});
