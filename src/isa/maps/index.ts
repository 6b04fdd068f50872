/** All rows of all opcode maps, in the order in which decode tries them. */
import type { Row } from "../row.ts";
import { rows as integer3a } from "./integer-3a.ts";
import { rows as integer38 } from "./integer-38.ts";
import { rows as oneByte } from "./one-byte.ts";
import { rows as sse } from "./sse.ts";
import { rows as sse3a } from "./sse-3a.ts";
import { rows as sse38 } from "./sse-38.ts";
import { rows as twoByte } from "./two-byte.ts";
import { rows as x87 } from "./x87.ts";

export const rows: readonly Row[] = [
  ...x87,
  ...oneByte,
  ...twoByte,
  ...integer38,
  ...integer3a,
  ...sse,
  ...sse38,
  ...sse3a,
];
