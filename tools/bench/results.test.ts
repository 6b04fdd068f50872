import { expect, test } from "vitest";
import { chart } from "./chart.ts";
import { aligned, markdown, suiteTable, withTables } from "./report.ts";
import {
  type ContenderId,
  compare,
  geometricMean,
  meanSlowdown,
  rowsOf,
  type Sample,
  wrongs,
} from "./results.ts";

const sample = (
  contender: ContenderId,
  kind: string,
  seconds: number,
  more: Partial<Sample> = {},
): Sample => ({
  ...{
    contender,
    kind,
    seconds,
    bits: 64,
    size: "normal",
    round: 1,
    checksum: "1",
    processorSeconds: undefined,
  },
  ...more,
});

const samples: readonly Sample[] = [
  sample("native", "hash", 0.2),
  sample("native", "hash", 0.1),
  sample("native", "hash", 0.01, { size: "short", checksum: "2" }),
  sample("qemu", "hash", 1),
  sample("qemu", "hash", 0.8, { round: 2 }),
  sample("bochs", "hash", 2, { size: "short", checksum: "2" }),
  sample("ours", "hash", 0.4, { processorSeconds: 0.3 }),
  sample("native", "sort", 0.1),
  sample("qemu", "sort", 0.2),
  sample("ours", "sort", 0.4),
];

test("a cell is the least of the rounds, and its slowdown is against the native run of the same size", () => {
  const [hash] = rowsOf(samples, "wall");
  expect(hash?.cells.get("qemu")).toEqual({ seconds: 0.8, slowdown: 8, size: "normal", isRight: true });
  expect(hash?.cells.get("bochs")).toEqual({ seconds: 2, slowdown: 200, size: "short", isRight: true });
  expect(hash?.cells.get("native")).toEqual({ seconds: 0.1, slowdown: 1, size: "normal", isRight: true });
});

test("by the processor's clock a machine's time is its threads', where that is known", () => {
  const [hash] = rowsOf(samples, "processor");
  expect(hash?.cells.get("ours")?.seconds).toBe(0.3);
  expect(hash?.cells.get("qemu")?.seconds).toBe(0.8);
});

test("means are geometric, and the worst ratio names its kind", () => {
  const rows = rowsOf(samples, "wall");
  expect(geometricMean([2, 8])).toBeCloseTo(4);
  expect(geometricMean([])).toBeUndefined();
  expect(meanSlowdown(rows, "ours")).toBeCloseTo(4);
  expect(compare(rows, "ours", "qemu")).toEqual({ mean: 1, worst: 2, worstKind: "sort", kinds: 2 });
  expect(compare(rows, "ours", "v86")).toBeUndefined();
});

test("another checksum makes a cell wrong and keeps it out of the means", () => {
  const rows = rowsOf([...samples, sample("v86", "sort", 0.01, { checksum: "3" })], "wall");
  expect(wrongs(rows)).toEqual(["sort (64-bit): v86 has another checksum"]);
  expect(meanSlowdown(rows, "v86")).toBeUndefined();
  expect(suiteTable(rows, 64)[2]).toContain("WRONG");
});

test("a wrong native checksum of another size does not matter", () => {
  expect(wrongs(rowsOf(samples, "wall"))).toEqual([]);
});

test("the table has a row for each kind, the means, and the worst", () => {
  const table = suiteTable(rowsOf(samples, "wall"), 64);
  expect(table.map(([first]) => first)).toEqual(["64-bit", "hash", "sort", "geometric mean", "worst"]);
  expect(table[0]).toEqual([
    "64-bit",
    "native",
    "QEMU TCG",
    "Bochs",
    "Worldswitch",
    "Worldswitch / QEMU TCG",
  ]);
  expect(table[1]?.slice(1)).toEqual(["0.100", "0.800  8.00x", "2.000*   200x", "0.400  4.00x", "0.50"]);
  expect(table.at(-1)?.at(-1)).toBe("2.00 sort");
  const lines = aligned(table).split("\n");
  expect(lines[1]?.indexOf("0.100")).toBe(lines[2]?.indexOf("0.100") ?? 0);
  expect(markdown(table).split("\n")[1]).toBe("| --- | ---: | ---: | ---: | ---: | ---: |");
});

test("the chart has a bar for each slowdown and escapes what it is told", () => {
  const svg = chart(rowsOf(samples, "wall"), "a < b & c");
  expect(svg).toContain("a &lt; b &amp; c");
  // The chart itself, means of three contenders, three bars of hash, two of sort.
  expect(svg.match(/<title>/g)).toHaveLength(9);
  expect(svg).toContain("hash, Bochs: 200.00 times native");
});

test("a page's tables are replaced between its marks, and the rest stays", () => {
  const page = "# Title\n<!-- npm run bench writes here -->\nold\n<!-- to here -->\nend\n";
  const once = withTables(page, "| new |");
  expect(once).toBe("# Title\n<!-- npm run bench writes here -->\n\n| new |\n\n<!-- to here -->\nend\n");
  expect(withTables(once, "| new |")).toBe(once);
});
