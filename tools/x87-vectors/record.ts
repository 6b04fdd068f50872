/**
 * `npx tsx tools/x87-vectors/record.ts`: compiles run.c (gcc), runs every case of test/x87/cases.ts on this processor and
 * writes the outcomes to test/vectors/x87/outcomes.txt.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { caseGroups, recordedCases, recordedText } from "../../test/x87/cases.ts";
import { Native } from "./native.ts";

const native = new Native();
const lines = caseGroups(recordedCases).map(
  ({ name, cases }) => `${name}: ${native.run(cases).map(recordedText).join(";")}\n`,
);
native.close();
const directory = fileURLToPath(new URL("../../test/vectors/x87/", import.meta.url));
mkdirSync(directory, { recursive: true });
writeFileSync(`${directory}outcomes.txt`, lines.join(""));
