import type { ExitSummary } from "../api/index.ts";

const grouped = (count: number): string => count.toLocaleString("en-US");

/** VM exits by reason, in columns. */
export const exitTable = (exits: readonly ExitSummary[]): string => {
  const total = exits.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return "VM exits: none\n";
  const rows = [
    ["reason", "", "count", "share", "mean handler", "longest"],
    ...exits.map(
      ({
        reason,
        name,
        count,
        share,
        meanHandlerInstructions: mean,
        longestHandlerInstructions: longest,
      }) => [
        String(reason),
        name,
        grouped(count),
        `${(100 * share).toFixed(1)} %`,
        mean === undefined ? "-" : grouped(Math.round(mean)),
        longest === undefined ? "-" : grouped(longest),
      ],
    ),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
  const title = `VM exits: ${grouped(total)}; a handler is what runs from the exit to the next VM entry of the same VMCS, in instructions`;
  return `${[title, ...lines].join("\n")}\n`;
};
