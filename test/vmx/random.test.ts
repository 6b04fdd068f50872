import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { vmxKernel } from "../../src/guests/vmx-kernel.ts";
import { randomVmcsKernel } from "../../src/guests/vmx-random.ts";
import { readKernelOutput } from "../../src/guests/vmx-report.ts";
import { runOnOurs } from "./our-machine.ts";
import { randomDifferences } from "./random-differences.ts";
import { runHostile } from "./random-run.ts";
import { randomVectorPath, readRandomVectors, verdictOf } from "./random-verdict.ts";

describe("random VMCSs", () => {
  it("are judged as Bochs judges them, or the difference is explained", async () => {
    const recorded = readRandomVectors(readFileSync(randomVectorPath, "utf8"));
    expect(recorded.length).toBeGreaterThanOrEqual(2000);
    const { serial, reason } = await runOnOurs(
      randomVmcsKernel({ kind: "near", first: 0, count: recorded.length }),
    );
    expect(reason).toBe("debug-exit");
    const { random } = readKernelOutput(serial);
    const unknown: string[] = [];
    const used = new Set<string>();
    const outcomes = new Set<string>();
    for (const [seed, bochs] of recorded.entries()) {
      const ours = verdictOf(random.get(seed) ?? "none");
      outcomes.add(ours.outcome);
      if (ours.outcome === bochs.outcome && ours.checksum === bochs.checksum) continue;
      const row = randomDifferences.find((difference) => difference.explains(ours, bochs));
      if (row) used.add(row.quirk);
      else
        unknown.push(
          `seed ${seed}: ${ours.outcome} / ${bochs.outcome}: ${[...ours.changes.keys()].join(", ")}`,
        );
    }
    expect(unknown).toEqual([]);
    expect([...used].toSorted()).toEqual(randomDifferences.map(({ quirk }) => quirk).toSorted());
    // All kinds of verdict occur.
    for (const outcome of ["V7", "V8", "X80000021", "X80000021/2", "X80000021/4", "X12", "X2", "X34"])
      expect(outcomes).toContain(outcome);
  });

  it("leave a guest that waits for a start-up IPI for ever halted", async () => {
    const { reason } = await runOnOurs(vmxKernel([{ name: "wait-for-SIPI", set: { "guest.activity": 3 } }]));
    expect(reason).toBe("halted");
  });

  it("never make the machine throw or hang, whatever is in them", async () => {
    const { seeds, outcomes } = await runHostile(0, 600);
    expect(seeds).toBe(600);
    expect(outcomes.get("V 7")).toBeGreaterThan(100);
    expect(outcomes.get("X 80000021")).toBeGreaterThan(30);
  });
});
