import { describe, expect, it } from "vitest";
import { access } from "../../src/arch/descriptors.ts";
import { machineCode } from "../../src/asm/index.ts";
import type { Tier } from "../../src/cpu/logical-processor.ts";
import { bareProcessor } from "./bare-processor.ts";

/** Instructions that begin in one page and end in the next, in 32-bit protected mode. */

const START = 0x4000;
/** Where the instruction under test begins: three bytes before the end of its page. */
const CROSSING = 0x1ffd;
const NEXT_PAGE = 0x2000;
const OTHER_FRAME = 0x7000;
const DIRECTORY = 0x1_0000;
const TABLE = 0x1_1000;

const assemble = (source: string, origin: number) =>
  machineCode(source, { codeSize: 32, origin: BigInt(origin) });

const machine = (tier: Tier, program: string, crossing: string) => {
  const { guest, engine, processor } = bareProcessor(0x2_0000);
  const { state } = processor;
  engine.tier = tier;
  state.CR0 = 0x33n;
  state.RFLAGS = 2n;
  for (const name of ["CS", "DS", "ES", "SS"] as const) {
    state[`${name}.limit`] = 0xffff_ffff;
    state[`${name}.access`] = access.P | access.S | access.DB | access.G | (name === "CS" ? 11 : 3);
  }
  state.RSP = 0x6000n;
  guest.writeBytes(START, assemble(program, START));
  guest.writeBytes(CROSSING, assemble(crossing, CROSSING));
  state.RIP = BigInt(START);
  return { guest, state, run: (budget = 100_000) => processor.run(budget) };
};

describe.each(["interpreter", "evaluator"] as const)(
  "an instruction across pages, on the %s tier",
  (tier) => {
    it("is carried out as often as control reaches it, in a straight line and by jumps", () => {
      const { guest, state, run } = machine(
        tier,
        `mov ecx, 300\n jmp ${CROSSING - 1}`,
        `add eax, 0x01020304\n loop ${CROSSING}\n hlt`,
      );
      guest.writeBytes(CROSSING - 1, Uint8Array.of(0x90)); // NOP
      run();
      expect(state.activity).toBe(1);
      expect(state.RAX).toBe(BigInt.asUintN(32, 300n * 0x01020304n));
    });

    it("may be a jump itself", () => {
      const { state, run } = machine(
        tier,
        `mov ecx, 300\n again: inc ebx\n cmp ebx, ecx\n jmp ${CROSSING}`,
        `jb ${START + 5}\n hlt`,
      );
      run();
      expect(state.activity).toBe(1);
      expect(state.RBX).toBe(300n);
    });

    it("changes with either of its pages", () => {
      const { state, run } = machine(
        tier,
        `mov ecx, 200\n jmp ${CROSSING}`,
        `add eax, 0x01000000
       add ebx, eax
       inc byte ptr [${NEXT_PAGE}]
       add byte ptr [${CROSSING + 1}], 3
       loop ${CROSSING}
       hlt`,
      );
      run();
      expect(state.activity).toBe(1);
      let [eax, ebx] = [0, 0];
      for (let n = 0; n < 200; n++) {
        const immediate = 0x0100_0000 + ((n & 0xff) << 16) + ((3 * n) & 0xff);
        eax = (eax + immediate) >>> 0;
        ebx = (ebx + eax) >>> 0;
      }
      expect([state.RAX, state.RBX]).toEqual([BigInt(eax), BigInt(ebx)]);
    });

    it("changes when its second page is mapped elsewhere", () => {
      const { guest, state, run } = machine(
        tier,
        `mov ecx, 50
       next:
         call ${CROSSING}
         mov dword ptr [${TABLE + 8}], ${OTHER_FRAME | 3}
         invlpg [${NEXT_PAGE}]
         call ${CROSSING}
         mov dword ptr [${TABLE + 8}], ${NEXT_PAGE | 3}
         invlpg [${NEXT_PAGE}]
         loop next
       hlt`,
        "add eax, 0x10000000\n ret",
      );
      guest.writeBytes(OTHER_FRAME, guest.readBytes(NEXT_PAGE, 8));
      guest.writeBytes(OTHER_FRAME, Uint8Array.of(1));
      const entry = (at: number, value: number) =>
        guest.writeBytes(at, new Uint8Array(Uint32Array.of(value).buffer));
      entry(DIRECTORY, TABLE | 3);
      for (let page = 0; page < 32; page++) entry(TABLE + 4 * page, (page << 12) | 3);
      state.CR3 = BigInt(DIRECTORY);
      state.CR0 |= 0x8000_0000n;
      run();
      expect(state.activity).toBe(1);
      expect(state.RAX).toBe(BigInt.asUintN(32, 50n * (0x10000000n + 0x10010000n)));
    });

    it("faults at its own address while its second page is missing", () => {
      const { guest, state, run } = machine(tier, `jmp ${CROSSING}`, "add eax, 0x01020304\n hlt");
      const entry = (at: number, value: number) =>
        guest.writeBytes(at, new Uint8Array(Uint32Array.of(value).buffer));
      entry(DIRECTORY, TABLE | 3);
      for (let page = 0; page < 32; page++) entry(TABLE + 4 * page, page === 2 ? 0 : (page << 12) | 3);
      state.CR3 = BigInt(DIRECTORY);
      state.CR0 |= 0x8000_0000n;
      // There is no IDT: the page fault ends in a shutdown, and CR2 tells of it.
      run();
      expect([state.activity, state.CR2, state.RAX]).toEqual([2, BigInt(NEXT_PAGE), 0n]);
    });
  },
);
