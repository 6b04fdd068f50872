import type { Paint, Style } from "../api/index.ts";

// biome-ignore format: one row per fact
const codes: Readonly<Record<Style, string>> = { bad: "31", good: "32", strong: "1", faint: "2" };

interface Output {
  readonly isTTY?: boolean;
}

/** Colours on a terminal that can show them, and where NO_COLOR (no-color.org) does not forbid them. */
export const paintFor = (output: Output, environment: NodeJS.ProcessEnv): Paint => {
  const { NO_COLOR = "", TERM } = environment;
  if (output.isTTY !== true || NO_COLOR !== "" || TERM === "dumb") return (_style, text) => text;
  return (style, text) => (text.trim() === "" ? text : `\u001b[${codes[style]}m${text}\u001b[0m`);
};
