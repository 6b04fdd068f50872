import { flat, realMode, type SystemRegisters } from "../kvm.ts";
import { guestCode, type Scenario, scenario, tellTale } from "../scenario.ts";
import { gate32, segmentDescriptor } from "./descriptors.ts";

const GDT = 0x4000;
const IDT = 0x4800;
const TSS = 0x5000;
const PAGE_DIRECTORY = 0x1_0000;
const PAGE_TABLE = 0x1_1000;
/** Present, writable, for user and supervisor, accessed and dirty: so that only what the guest does changes memory. */
const PAGE = 0x67;
/** Linear address whose page is where there is no memory, and one whose page is not present. */
const DEVICE_LINEAR = 0x7000;
const DEVICE = 0xd000_0000;
const ABSENT_LINEAR = 0x9000;
/** The first 4 MiB of linear addresses are seen here again. */
const UPPER = 0x8000_0000;
/** CPUID, PG, WP, ET, PE. */
const CR0_PAGED = 0x8001_0011n;

/** 32-bit code at level 0 with flat segments, data segments usable at level 3 too. */
export const protectedMode = (): SystemRegisters => ({
  ...realMode(),
  cs: flat(8, "code32"),
  ss: flat(0x10, "data"),
  ds: flat(0x23, "data"),
  es: flat(0x23, "data"),
  fs: flat(0x23, "data"),
  gs: flat(0x23, "data"),
  cr0: 0x11n,
  gdt: { base: BigInt(GDT), limit: 0x2f },
  idt: { base: BigInt(IDT), limit: 0x31 * 8 - 1 },
});

/** GDT for `protectedMode`, and the IDT's gates by vector. */
export const descriptorTables = (s: Scenario, gates: Readonly<Record<number, bigint>>): void => {
  const code = segmentDescriptor({ type: 0xb, size: 32 });
  const data = segmentDescriptor({ type: 3, size: 32 });
  const userCode = segmentDescriptor({ type: 0xb, size: 32, dpl: 3 });
  const userData = segmentDescriptor({ type: 3, size: 32, dpl: 3 });
  const task = BigInt(TSS) * 0x1_0000n + 0x0000_8900_0000_0067n;
  s.store(GDT, 0, code, data, userCode, userData, task);
  for (const [vector, handler] of Object.entries(gates))
    s.store(IDT + 8 * Number(vector), gate32(8, handler, Number(vector) >= 0x30 ? 3 : 0));
};

const pageTables = (s: Scenario): void => {
  const entries = Array.from({ length: 128 }, (_, i) => i * 4096 + PAGE);
  entries[DEVICE_LINEAR >> 12] = DEVICE + PAGE;
  entries[ABSENT_LINEAR >> 12] = 0;
  const pairs = Array.from(
    { length: 64 },
    (_, i) => BigInt(entries[2 * i]!) + (BigInt(entries[2 * i + 1]!) << 32n),
  );
  s.store(PAGE_TABLE, ...pairs);
  s.store(PAGE_DIRECTORY, PAGE_TABLE + PAGE);
  s.store(PAGE_DIRECTORY + 4 * (UPPER >>> 22), PAGE_TABLE + PAGE);
};

const program = `
        mov ebp, 0x28
        ltr bp
        out 0x20, eax
wrote:  mov [${DEVICE_LINEAR + 0x10}], ebx
store:  mov ecx, [${DEVICE_LINEAR + 0x18}]
read:   or dword [${DEVICE_LINEAR + 0x20}], ebx
change: mov eax, cr3
        out 0x21, eax
cr3Out: mov edx, [${ABSENT_LINEAR + 4}]
        out 0x22, eax
again:  push dword 0x23
        push dword 0x5f00
        push dword 0x3002
        push dword 0x1b
        push dword user
        iretd
user:   mov eax, 0x77
userOut:
        out 0x23, al
        int 0x30
        jmp $

; The error code is taken off the stack, the page is made present.
pageFault:
        pop esi
        mov edi, cr2
faultOut:
        out 0x24, al
        mov dword [${PAGE_TABLE + 4 * (ABSENT_LINEAR >> 12)}], ${0x8000 + PAGE}
        invlpg [${ABSENT_LINEAR}]
        iretd

system: add eax, 1
systemOut:
        out 0x25, eax
        hlt
halted: jmp $
`;

/** Error code, EIP, CS, EFLAGS. RF, which not every processor under test sets, is left out. */
const pageFaultFrame = (rip: bigint): Uint8Array =>
  new Uint8Array(new Uint32Array([0, Number(rip), 8, 6]).buffer);

export const protectedModeScenario: Scenario = scenario("protected-mode", (s) => {
  const code = guestCode(32, UPPER + 0x1000, program, 0x1000);
  const at = (name: string): bigint => code.label(name);
  const little = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
  s.create();
  s.load(code);
  descriptorTables(s, { 14: at("pageFault"), 48: at("system") });
  pageTables(s);
  s.store(TSS, 0x5e00n << 32n, 0x10);
  s.store(0x8000, 0x600d_0000_0000_0000n);
  s.store(0x8000, 0x600d_600dn << 32n);
  const system = {
    ...protectedMode(),
    cr0: CR0_PAGED,
    cr3: BigInt(PAGE_DIRECTORY),
  };
  s.set({ ...tellTale(16), rax: 0xcafe_f00dn, rsp: 0x6000n, rip: BigInt(UPPER + 0x1000) }, system);
  s.out(0x20, little(0xcafe_f00d));
  const tr = { ...realMode().tr, selector: 0x28, base: BigInt(TSS), limit: 0x67 };
  const atOut = { rbp: 0x28n, rip: at("wrote") - 2n };
  s.registers("at OUT", atOut, { system: { tr }, orRip: at("wrote") });
  s.ok("32-bit code in the upper half: LTR, OUT of a doubleword");
  s.mmioWrite(DEVICE + 0x10, little(0x2222));
  s.registers("at a store", { rip: at("store") });
  s.ok("a store through a page table to memory that is not there");
  s.mmioRead(DEVICE + 0x18, little(0x8765_4321));
  s.registers("at a load", { rip: at("store") });
  s.ok("a load through a page table from memory that is not there");
  s.mmioRead(DEVICE + 0x20, little(0x0f0f_0000));
  s.registers("at OR's load", { rcx: 0x8765_4321n, rip: at("read") });
  s.mmioWrite(DEVICE + 0x20, little(0x0f0f_2222));
  s.registers("at OR's store", { rip: at("change"), rflags: 6n });
  s.ok("OR to memory that is not there: a load, then a store");
  s.out(0x21, little(PAGE_DIRECTORY));
  s.registers(
    "after MOV from CR3",
    { rax: BigInt(PAGE_DIRECTORY), rip: at("cr3Out") - 2n },
    { orRip: at("cr3Out") },
  );
  s.ok("MOV from CR3");
  s.out(0x24, [0]);
  const inHandler = { rsi: 0n, rdi: BigInt(ABSENT_LINEAR + 4), rsp: 0x5ff4n, rip: at("faultOut") };
  s.registers("in the page-fault handler", inHandler, {
    system: { cr2: BigInt(ABSENT_LINEAR + 4) },
    orRip: at("faultOut") + 2n,
  });
  s.maskMemory(0x5ff8, ~(1n << 48n));
  s.memory(0x5ff0, pageFaultFrame(at("cr3Out")), "the page fault's frame");
  s.ok("#PF reaches the guest's handler with CR2, error code and frame");
  s.out(0x22, little(PAGE_DIRECTORY));
  s.registers(
    "after the page fault",
    { rdx: 0x600d_600dn, rsp: 0x6000n, rip: at("again") - 2n },
    { orRip: at("again") },
  );
  s.ok("the load is repeated after INVLPG and IRET");
  s.out(0x23, [0x77]);
  const user = { cs: flat(0x1b, "code32"), ss: flat(0x23, "data") };
  s.registers(
    "at level 3",
    { rax: 0x77n, rsp: 0x5f00n, rflags: 0x3002n, rip: at("userOut") },
    { system: user, orRip: at("userOut") + 2n },
  );
  s.ok("IRET to level 3");
  s.out(0x25, little(0x78));
  const kernel = { cs: flat(8, "code32"), ss: flat(0x10, "data") };
  const inSystem = { rax: 0x78n, rsp: 0x5e00n - 20n, rflags: 0x3006n, rip: at("systemOut") };
  s.registers("at level 0 again", inSystem, { system: kernel, orRip: at("systemOut") + 2n });
  s.ok("INT from level 3 takes the stack of the TSS");
  s.run("HLT", "HLT");
  s.registers("at HLT", { rip: at("halted") });
  s.ok("HLT");
});
