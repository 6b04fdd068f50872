/**
 * `npx tsx tools/x87-vectors/compare.ts CASES [SEED] [NAME]`: so many fresh cases of every row (whose name matches NAME) on this
 * processor and on the procedures; prints how many differ, and the first few that do.
 */
import { caseGroups } from "../../test/x87/cases.ts";
import { Replay } from "../../test/x87/replay.ts";
import { Native } from "./native.ts";

const [count = "100", seed = "", name = ""] = process.argv.slice(2);
const native = new Native();
const replay = new Replay();
let total = 0;
let differing = 0;
for (const group of caseGroups(Number(count), seed)) {
  if (!new RegExp(name).test(group.name)) continue;
  const expected = native.run(group.cases);
  const found = group.cases.flatMap((one, n) => {
    const got = replay.run(one);
    return got === expected[n] ? [] : [{ one, got, expected: expected[n]! }];
  });
  total += group.cases.length;
  differing += found.length;
  if (found.length > 0) console.log(`${group.name}: ${found.length} of ${group.cases.length}`);
  for (const { one, got, expected } of found.slice(0, 3)) {
    const { FCW, FSW, inUse, registers } = one.before;
    const top = (FSW >> 11) & 7;
    const st = registers.map((_, i) => {
      const number = (top + i) & 7;
      const bits = registers[number]!.toString(16).padStart(20, "0");
      return inUse & (1 << number) ? bits : `(${bits})`;
    });
    console.log(
      `  FCW ${FCW.toString(16)} FSW ${FSW.toString(16)} ${st.slice(0, 2).join(" ")} ST7 ${st[7]} mem ${Buffer.from(one.before.memory.subarray(0, 10)).toString("hex")} ${Buffer.from(one.code).toString("hex")} rfl ${one.before.RFLAGS.toString(16)}`,
    );
    console.log(`    CPU ${expected}\n    us  ${got}`);
  }
}
console.log(`${differing} of ${total} cases differ`);
native.close();
