/** All rows of all opcode maps, in the order in which decode tries them. */
import type { Row } from "../row.ts";

export const rows: readonly Row[] = [];
