/** `npm run guests:nested`: makes the guests that are hypervisors; a JSON object per guest on stdout, progress on stderr. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Guest, Unavailable } from "./guests.ts";
import { kvmClientGuest, nestedGuest } from "./nested.ts";

const cache = join(fileURLToPath(new URL("../..", import.meta.url)), ".cache", "guests");
const progress = (line: string): void => void process.stderr.write(`${line}\n`);
const megabytes = (file: string): string => `${(statSync(file).size / 1e6).toFixed(1)} MB`;

const makers: Readonly<Record<string, () => Promise<Guest | Unavailable>>> = {
  "KVM client": () => kvmClientGuest("cloud-amd64", { cache, progress }),
  "KVM client, generic kernel": () => kvmClientGuest("amd64", { cache, progress }),
  "QEMU with a guest of its own": () => nestedGuest({ cache, progress }),
};
for (const [name, make] of Object.entries(makers)) {
  const guest = await make();
  console.log(JSON.stringify({ guest: name, ...guest }));
  if ("unavailable" in guest) process.exitCode = 1;
  else progress(`${name}: kernel ${megabytes(guest.kernel)}, initramfs ${megabytes(guest.initrd)}`);
}
