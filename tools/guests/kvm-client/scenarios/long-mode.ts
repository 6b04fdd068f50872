import { flat } from "../kvm.ts";
import {
  ABSENT_LINEAR,
  DEVICE,
  DEVICE_LINEAR,
  EFER_LONG,
  longMode,
  longModePaging,
  UPPER_HALF,
} from "../long-mode.ts";
import { guestCode, type Scenario, scenario, tellTale } from "../scenario.ts";
import { gate64, segmentDescriptor } from "./descriptors.ts";

const GDT = 0x4000;
const IDT = 0x4800;
const IA32_KERNEL_GS_BASE = 0xc000_0102;
const IA32_STAR = 0xc000_0081;
const IA32_LSTAR = 0xc000_0082;
const IA32_FMASK = 0xc000_0084;
const IA32_EFER = 0xc000_0080;
/** Where the code of level 3 lies. */
const USER = 0x1800;
/** The table entry of ABSENT_LINEAR. */
const ABSENT_ENTRY = 0x1_3000 + 8 * Number(ABSENT_LINEAR >> 12n);

const program = `
        out 0x30, al
        add r9, r10
        rol r11, 8
        imul r12, r13
        cmp al, al
        out 0x31, eax
first:  mov [${Number(DEVICE_LINEAR) + 0x20}], r14
store:  mov r15, [${Number(DEVICE_LINEAR) + 0x28}]
load:   mov cr8, rbx
        mov rdi, cr8
        mov ecx, ${IA32_EFER}
        rdmsr
        out 0x32, eax
msr:    xor ecx, ecx
        xor edx, edx
        cmp al, al
        div rcx
divided:
        mov rdx, [${ABSENT_LINEAR + 8n}]
        out 0x34, al
again:  swapgs
        mov rax, gs:[0x10]
        out 0x35, al
swapped:
        mov rcx, ${USER}
        mov r11d, 0x3202
        cli
        o64 sysret
; #DE: the instruction after DIV is next.
divide: add qword [rsp], 3
        cmp al, al
        out 0x33, al
inDivide:
        iretq

pageFault:
        pop rsi
        mov rbp, cr2
        mov qword [${ABSENT_ENTRY}], 0x8067
        invlpg [${ABSENT_LINEAR}]
        out 0x36, al
inFault:
        iretq

systemCall:
        out 0x38, al
inCall: hlt
halted: jmp $
`;

/** Level 3, where the lower half's pages let it run. */
const userProgram = `
        mov eax, 0x99
        out 0x37, al
inUser: syscall
returned:
        jmp $
`;

const quadwordBytes = (...values: readonly bigint[]): Uint8Array =>
  new Uint8Array(new BigUint64Array(values).buffer);
const bytesOf = (value: bigint): number[] => [...quadwordBytes(value)];

export const longModeScenario: Scenario = scenario("long-mode", (s) => {
  const code = guestCode(64, UPPER_HALF + 0x1000n, program, 0x1000);
  const user = guestCode(64, USER, userProgram);
  const at = (name: string): bigint => code.label(name);
  s.create();
  s.load(code);
  s.load(user);
  longModePaging(s);
  const kernelSegments = [
    segmentDescriptor({ type: 0xb, size: 64 }),
    segmentDescriptor({ type: 3, size: 32 }),
  ];
  s.store(GDT, 0, ...kernelSegments);
  s.store(IDT, ...gate64(8, at("divide")));
  s.store(IDT + 16 * 14, ...gate64(8, at("pageFault")));
  s.store(0x8000, 0, 0xfeed_face_0bad_cafen, 0xaced_0000_0000_0001n);
  s.store(0x6010, 0x1122_3344_5566_7788n);
  s.supportedCpuid();
  // biome-ignore format: one row per fact
  s.setMsrs(
    [IA32_KERNEL_GS_BASE, 0x6000n], [IA32_STAR, 0x0020_0008_0000_0000n], [IA32_LSTAR, at("systemCall")], [IA32_FMASK, 0x200n],
  );
  const tables = { gdt: { base: BigInt(GDT), limit: 0x17 }, idt: { base: BigInt(IDT), limit: 0xff } };
  const start = { ...tellTale(64), rbx: 5n, rsp: UPPER_HALF + 0x6000n, rip: UPPER_HALF + 0x1000n };
  s.set(start, { ...longMode(), ...tables });
  const before = (name: string): bigint => at(name) - 2n;
  s.out(0x30, [0x11]);
  s.registers("at OUT", {}, { orRip: start.rip + 2n });
  s.ok("64-bit code in the upper half: OUT");
  s.out(0x31, [0x11, 0x11, 0, 0]);
  const r = (name: "r9" | "r10" | "r11" | "r12" | "r13"): bigint => s.register(name);
  const rotated = BigInt.asUintN(64, (r("r11") << 8n) | (r("r11") >> 56n));
  const computed = {
    r9: BigInt.asUintN(64, r("r9") + r("r10")),
    r11: rotated,
    r12: BigInt.asUintN(64, r("r12") * r("r13")),
  };
  s.registers(
    "after arithmetic",
    { ...computed, rflags: 0x46n, rip: before("first") },
    { orRip: at("first") },
  );
  s.ok("ADD, ROL, IMUL of R9 to R13");
  s.mmioWrite(DEVICE + 0x20, bytesOf(s.register("r14")));
  s.ok("a store of 8 bytes to memory that is not there");
  s.mmioRead(DEVICE + 0x28, bytesOf(0xfedc_ba98_7654_3210n));
  s.ok("a load of 8 bytes from memory that is not there");
  s.out(0x32, bytesOf(EFER_LONG).slice(0, 4));
  const afterMsr = { r15: 0xfedc_ba98_7654_3210n, rdi: 5n, rcx: BigInt(IA32_EFER), rax: EFER_LONG, rdx: 0n };
  s.registers("after RDMSR", { ...afterMsr, rip: before("msr") }, { orRip: at("msr"), system: { cr8: 5n } });
  s.ok("MOV to and from CR8, RDMSR of IA32_EFER");
  s.out(0x33, [0x01]);
  const inDivide = { rcx: 0n, rsp: UPPER_HALF + 0x6000n - 40n, rip: before("inDivide") };
  s.registers("in #DE's handler", inDivide, { orRip: at("inDivide") });
  s.memory(0x5fd8, quadwordBytes(at("divided"), 8n), "#DE's frame");
  s.ok("#DE reaches the guest's handler");
  s.out(0x36, [0x01]);
  const inFault = { rsi: 0n, rbp: ABSENT_LINEAR + 8n, rip: before("inFault") };
  s.registers("in #PF's handler", inFault, { orRip: at("inFault"), system: { cr2: ABSENT_LINEAR + 8n } });
  s.ok("#PF reaches the guest's handler");
  s.out(0x34, [0x01]);
  const afterFault = { rdx: 0xfeed_face_0bad_cafen, rsp: UPPER_HALF + 0x6000n, rip: before("again") };
  s.registers("after the page fault", afterFault, { orRip: at("again") });
  s.ok("IRETQ, and the load is repeated");
  s.out(0x35, [0x88]);
  const gs = { ...s.system.gs, base: 0x6000n };
  const swapped = { rax: 0x1122_3344_5566_7788n, rip: before("swapped") };
  s.registers("after SWAPGS", swapped, { orRip: at("swapped"), system: { gs } });
  s.ok("SWAPGS");
  s.out(0x37, [0x99]);
  const level3 = { cs: flat(0x33, "code64"), ss: flat(0x2b, "data") };
  const inUser = {
    rax: 0x99n,
    rcx: BigInt(USER),
    r11: 0x3202n,
    rflags: 0x3202n,
    rip: user.label("inUser") - 2n,
  };
  s.registers("at level 3", inUser, { system: level3, orRip: user.label("inUser") });
  s.ok("SYSRET to level 3 with IOPL 3");
  s.out(0x38, [0x99]);
  const level0 = { cs: flat(8, "code64"), ss: flat(0x10, "data") };
  const inCall = { rcx: user.label("returned"), rflags: 0x3002n, rip: before("inCall") };
  s.registers("after SYSCALL", inCall, { system: level0, orRip: at("inCall") });
  s.ok("SYSCALL loads RCX, R11, RFLAGS and CS");
  s.run("HLT", "HLT");
  s.registers("at HLT", { rip: at("halted") });
  s.ok("HLT");
  s.msrs("MSRs at the end", [IA32_KERNEL_GS_BASE, longMode().gs!.base], [IA32_LSTAR, at("systemCall")]);
  s.ok("what SWAPGS has put away reads back as IA32_KERNEL_GS_BASE");
});
