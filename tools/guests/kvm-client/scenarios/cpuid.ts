import { longMode, longModePaging } from "../long-mode.ts";
import { type CpuidLeaf, guestCode, type Scenario, scenario, tellTale } from "../scenario.ts";

// biome-ignore format: one row per leaf
const leaves: readonly CpuidLeaf[] = [
  { leaf: 0,                         registers: [4, 0x6c72_6f57, 0x2168_6374, 0x6977_5364] },
  { leaf: 4,            subleaf: 0,  registers: [0x0101_0101, 0x0202_0202, 0x0303_0303, 0x0404_0404] },
  { leaf: 4,            subleaf: 1,  registers: [0x8111_1111, 0x8222_2222, 0x8333_3333, 0x8444_4444] },
  { leaf: 0x4000_0000,               registers: [0x4000_0001, 0xfedc_ba98, 0x7654_3210, 0x0f1e_2d3c] },
];

const ask = (leaf: number, subleaf: number): string => `
        mov eax, ${leaf}
        mov ecx, ${subleaf}
        cpuid
        out 0x70, al
`;

/** CPUID exits never reach the client: KVM answers them from the client's table. */
export const cpuidScenario: Scenario = scenario("cpuid", (s) => {
  const text = leaves.map(({ leaf, subleaf = 0 }, i) => `${ask(leaf, subleaf)}after${i}:`).join("");
  const code = guestCode(64, 0x1000, `${text} hlt\nhalted:`);
  s.create();
  longModePaging(s);
  s.load(code);
  s.cpuid(leaves);
  s.set({ ...tellTale(64), rip: 0x1000n }, longMode());
  for (const [i, { leaf, subleaf = 0, registers }] of leaves.entries()) {
    const [rax, rbx, rcx, rdx] = registers.map(BigInt) as [bigint, bigint, bigint, bigint];
    s.out(0x70, [Number(rax & 0xffn)]);
    const rip = code.label(`after${i}`);
    const name = `leaf ${leaf.toString(16).toUpperCase()}H, subleaf ${subleaf}`;
    s.registers(`after ${name}`, { rax, rbx, rcx, rdx, rip: rip - 2n }, { orRip: rip });
    s.ok(`${name} gives the client's values, upper halves are cleared`);
  }
  s.run("HLT", "HLT");
  s.registers("at HLT", { rip: code.label("halted") });
  s.ok("HLT");
});

/** What the guest does with the x87 and the SSE registers is what the client reads. */
export const floatingPointScenario: Scenario = scenario("floating-point", (s) => {
  const code = guestCode(
    64,
    0x1000,
    `
        movq xmm3, rbx
        movlhps xmm3, xmm3
        fninit
        fld1
        fldpi
        out 0x71, al
done:   hlt`,
  );
  s.create();
  longModePaging(s);
  s.load(code);
  s.supportedCpuid();
  s.set({ ...tellTale(64), rip: 0x1000n }, longMode());
  s.out(0x71, [0x11]);
  s.registers("at OUT", { rip: code.label("done") - 2n }, { orRip: code.label("done") });
  const quadwords = (...values: readonly bigint[]): Uint8Array =>
    new Uint8Array(new BigUint64Array(values).buffer);
  s.fpu(0, quadwords(0xc90f_daa2_2168_c235n, 0x4000n, 0x8000_0000_0000_0000n, 0x3fffn), "ST(0) and ST(1)");
  // Control word 37FH, TOP 6, ST(0) and ST(1) in use; the last opcode is in the upper half.
  s.fpuWord(128, 0x00c0_3000_037fn, 0xffff_ffff_ffffn, "control, status and tag words");
  const { rbx } = tellTale(64);
  s.fpu(152 + 3 * 16, quadwords(rbx ?? 0n, rbx ?? 0n), "XMM3");
  s.ok("KVM_GET_FPU shows the guest's x87 and SSE registers");
});
