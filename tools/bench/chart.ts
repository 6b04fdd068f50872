/** One drawing of all rows, as SVG: how many times as long as native, on a logarithmic scale. Pure. */
import { TITLES } from "./report.ts";
import { type ContenderId, meanSlowdown, type Row } from "./results.ts";

// biome-ignore format: one row per fact
const COLOURS: Readonly<Partial<Record<ContenderId, string>>> = {
  ours:        "#c2410c",
  qemu:        "#2563eb",
  v86:         "#65a30d",
  bochs:       "#9ca3af",
  interpreter: "#fdba74",
};

const WIDTH = 960;
const LEFT = 150;
const RIGHT = 60;
const TOP = 64;
const BAR = 8;
const GAP = 8;
const HEADING = 30;

const xml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const text = (x: number, y: number, words: string, more = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${more}>${xml(words)}</text>`;

interface Group {
  readonly name: string;
  readonly isMean: boolean;
  readonly bars: readonly { readonly contender: ContenderId; readonly slowdown: number }[];
}

const groupsOf = (rows: readonly Row[], contenders: readonly ContenderId[]): readonly Group[] => {
  const group = (name: string, isMean: boolean, value: (id: ContenderId) => number | undefined): Group => ({
    name,
    isMean,
    bars: contenders.flatMap((contender) => {
      const slowdown = value(contender);
      return slowdown === undefined ? [] : [{ contender, slowdown }];
    }),
  });
  return [
    group("geometric mean", true, (id) => meanSlowdown(rows, id)),
    ...rows.map((row) =>
      group(row.kind, false, (id) => {
        const cell = row.cells.get(id);
        return cell?.isRight ? cell.slowdown : undefined;
      }),
    ),
  ];
};

/** The SVG. `subtitle` names the class of machine. */
export const chart = (rows: readonly Row[], subtitle: string): string => {
  const contenders = (Object.keys(COLOURS) as ContenderId[]).filter(
    (id) => meanSlowdown(rows, id) !== undefined,
  );
  const suites = [...new Set(rows.map((row) => row.bits))].map((bits) => ({
    bits,
    groups: groupsOf(
      rows.filter((row) => row.bits === bits),
      contenders,
    ),
  }));
  const slowdowns = suites.flatMap(({ groups }) =>
    groups.flatMap(({ bars }) => bars.map(({ slowdown }) => slowdown)),
  );
  const decades = Math.max(1, Math.ceil(Math.log10(Math.max(10, ...slowdowns))));
  const scale = (slowdown: number): number =>
    (Math.max(0, Math.log10(slowdown)) / decades) * (WIDTH - LEFT - RIGHT);
  const parts: string[] = [];
  let y = TOP;
  for (const { bits, groups } of suites) {
    parts.push(text(LEFT, y + 20, `${bits}-bit suite`, ' font-weight="bold"'));
    y += HEADING;
    for (const { name, isMean, bars } of groups) {
      const height = Math.max(1, bars.length) * BAR;
      const weight = isMean ? ' font-weight="bold"' : "";
      parts.push(text(LEFT - 8, y + height / 2 + 4, name, ` text-anchor="end"${weight}`));
      for (const [index, { contender, slowdown }] of bars.entries()) {
        const top = y + index * BAR;
        parts.push(
          `<rect x="${LEFT}" y="${top}" width="${Math.max(1, scale(slowdown)).toFixed(1)}" height="${BAR - 1}" fill="${COLOURS[contender]}"><title>${xml(`${name}, ${TITLES[contender]}: ${slowdown.toFixed(2)} times native`)}</title></rect>`,
        );
        if (isMean)
          parts.push(text(LEFT + scale(slowdown) + 4, top + BAR - 1, slowdown.toFixed(1), ' font-size="9"'));
      }
      y += height + GAP;
    }
  }
  const grid = Array.from({ length: decades + 1 }, (_, decade) => {
    const x = LEFT + scale(10 ** decade);
    return `<line x1="${x.toFixed(1)}" y1="${TOP}" x2="${x.toFixed(1)}" y2="${y}" stroke="#d1d5db"/>${text(x, y + 16, `${10 ** decade}x`, ' text-anchor="middle"')}`;
  });
  const legend = contenders.map(
    (id, index) =>
      `<rect x="${LEFT + index * 120}" y="46" width="12" height="12" fill="${COLOURS[id]}"/>${text(LEFT + 16 + index * 120, 56, TITLES[id])}`,
  );
  const height = y + 28;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12" fill="#111827">\n<title>Time against native execution, by kind of work</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(LEFT, 20, "Time against native execution; shorter is faster", ' font-size="15" font-weight="bold"'),
    text(LEFT, 37, subtitle, ' fill="#6b7280"'),
    ...legend,
    ...grid,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
};
