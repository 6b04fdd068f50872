/** `npx tsx tools/guests/main.ts [FLAVOUR ...]`: makes Debian guests; a JSON object per guest on stdout, progress on stderr. */
import { debianGuest, type Flavour, flavours } from "./guests.ts";

const wanted = process.argv.slice(2);
const unknown = wanted.find((word) => !flavours.includes(word as Flavour));
if (unknown !== undefined) {
  console.error(`unknown guest "${unknown}"; expected one of ${flavours.join(", ")}`);
  process.exit(2);
}
for (const flavour of wanted.length > 0 ? (wanted as Flavour[]) : flavours.slice(0, 1)) {
  const guest = await debianGuest(flavour, { progress: (line) => process.stderr.write(`${line}\n`) });
  console.log(JSON.stringify(guest));
  if ("unavailable" in guest) process.exitCode = 1;
}
