/** `npm run golden:bless`: what the region emitter makes now becomes what is expected. Look at the difference before it is committed. */
import { goldenNames, readGolden, removeGolden, writeGolden } from "./files.ts";
import { regionText } from "./region-text.ts";
import { snippets } from "./snippets.ts";

const known = new Set(goldenNames());
let changed = 0;
for (const [name, snippet] of Object.entries(snippets)) {
  const text = regionText(name, snippet);
  if (known.delete(name) && readGolden(name) === text) continue;
  writeGolden(name, text);
  changed++;
}
for (const name of known) removeGolden(name);
process.stdout.write(`${changed} files written, ${known.size} removed, of ${Object.keys(snippets).length}\n`);
