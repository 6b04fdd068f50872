import { KVM_API_VERSION, realMode } from "../kvm.ts";
import { guestCode, type Scenario, scenario, segmentAt, tellTale } from "../scenario.ts";

/** There is no memory from here on. */
const MMIO = 0xa_0000;
const real = realMode();

export const interfaceScenario: Scenario = scenario("interface", (s) => {
  s.ask("GET_API_VERSION", KVM_API_VERSION);
  s.ok("KVM_GET_API_VERSION is 12");
  s.ask("GET_VCPU_MMAP_SIZE", 3 * 4096);
  s.ok("KVM_GET_VCPU_MMAP_SIZE");
  s.create();
  s.ok("virtual machine, memory and processor are made");
  s.set(tellTale(64), { ...real, cr2: 0x1234_5000n });
  s.registers("after KVM_SET_REGS and KVM_SET_SREGS", {});
  s.ok("all registers read back");
  s.setMsrs([0x174, 0x10n], [0xc000_0102, 0xffff_8000_0000_1000n], [0xc000_0081, 0x0023_0010_0000_0000n]);
  // biome-ignore format: one row
  s.msrs("MSRs", [0x174, 0x10n], [0xc000_0102, 0xffff_8000_0000_1000n], [0xc000_0081, 0x0023_0010_0000_0000n]);
  s.ok("MSRs read back");
});

export const realModeScenario: Scenario = scenario("real-mode", (s) => {
  const code = guestCode(
    16,
    0x1000,
    `
        out 0x10, al
out8:   in al, 0x11
in8:    add bx, 0xf000
        out dx, ax
out16:  in ax, dx
in16:   out dx, eax
out32:  in eax, dx
in32:   mov si, text
        mov cx, 3
        rep outsb
outs:   mov ax, ${MMIO >> 4}
        mov es, ax
        mov [es:0x12], cx
store:  mov cx, [es:0x34]
load:   push word 0x0200
        push word 0x10
        retf
        org 0x2010
        pushf
        pop bp
        and bp, 0xfff
        call near next
next:   out 0x13, al
far:    hlt
halt:   jmp $
text:   db 'abc'
`,
  );
  s.create();
  s.codeTypeIsOpen();
  s.load(code);
  s.set({ ...tellTale(16), rip: 0x1000n, rdx: 0x1234n, rax: 0x1234_565an }, { ...real });
  const at = (name: string): bigint => code.label(name);
  s.out(0x10, [0x5a]);
  s.registers("at OUT", { rip: 0x1000n }, { orRip: at("out8") });
  s.ok("OUT of a byte to an immediate port");
  s.in(0x11, [0xc3]);
  s.registers("at IN", { rip: at("out8") });
  s.ok("IN of a byte");
  s.out(0x1234, [0xc3, 0x56]);
  // 2222H + F000H: a carry out, no overflow; even parity, negative? 1222H is positive.
  s.registers(
    "at 16-bit OUT",
    { rax: 0x1234_56c3n, rbx: 0x1222n, rflags: 0x7n, rip: at("out16") },
    { orRip: at("out16") - 1n },
  );
  s.ok("what IN brought is in AL, ADD has set the flags, OUT of a word");
  s.in(0x1234, [0x78, 0x9a]);
  s.registers("at 16-bit IN", { rip: at("out16") });
  s.ok("IN of a word");
  s.out(0x1234, [0x78, 0x9a, 0x34, 0x12]);
  s.registers("at 32-bit OUT", { rax: 0x1234_9a78n, rip: at("out32") }, { orRip: at("in16") });
  s.ok("OUT of a doubleword");
  s.in(0x1234, [0xef, 0xbe, 0xad, 0xde]);
  s.registers("at 32-bit IN", { rip: at("out32") });
  s.ok("IN of a doubleword");
  for (const [i, letter] of [0x61, 0x62, 0x63].entries()) {
    s.out(0x1234, [letter]);
    if (i > 0) continue;
    s.ok("REP OUTSB's first byte");
  }
  s.ok("REP OUTSB's other bytes");
  s.mmioWrite(MMIO + 0x12, [0, 0]);
  const es = segmentAt(real.es, MMIO >> 4);
  const moved = { rax: 0xdead_a000n, rcx: 0n, rsi: at("text") + 3n };
  s.registers("at a store", { ...moved, rip: at("store") }, { system: { es } });
  s.ok("a store to memory that is not there, ES loaded");
  s.mmioRead(MMIO + 0x34, [0x57, 0x13]);
  s.registers("at a load", { rip: at("store") });
  s.ok("a load from memory that is not there");
  s.out(0x13, [0x00]);
  const cs = segmentAt(real.cs, 0x200);
  const stacked = { rcx: 0x1357n, rbp: 7n, rflags: 2n, rsp: 0x7ffen, rip: at("far") - 0x2000n };
  s.registers("after a far return and a near call", stacked, { system: { cs }, orRip: at("next") - 0x2000n });
  s.ok("a far return loads CS, the load's value is in CX, PUSHF tells the flags");
  s.memory(0x7ff8, new Uint8Array([0, 0, 0, 0, 0x10, 0, Number(at("next") & 0xffn), 0]), "the stack");
  s.ok("CALL pushes the return address");
  s.run("HLT", "HLT");
  s.registers("at HLT", { rip: at("halt") - 0x2000n });
  s.ok("HLT");
});
