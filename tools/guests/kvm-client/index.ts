import { staticElf } from "../elf.ts";
import { benchCpuid, benchIo } from "./bench-guests.ts";
import { runtime } from "./runtime.ts";
import { ScenarioLayout } from "./scenario.ts";
import { scenarios } from "./scenarios/index.ts";

/**
 * A client of Linux's KVM, as a static ELF64 program: `kvm-client test [SCENARIO]` prints a line per check and a summary, and ends
 * with status 1 when one failed; `bench-io COUNT` and `bench-cpuid COUNT` print a line before and after that many exits, the
 * second with a checksum. Made by our own assembler, so nothing else is needed to build it.
 */
export const kvmClient = (): Uint8Array => {
  const program = runtime();
  const start = (program.origin + BigInt(program.bytes.length) + 15n) & ~15n;
  const layout = new ScenarioLayout(program.symbols, start);
  const pointers = {
    scenarioTable: layout.table(scenarios),
    benchIoScript: layout.script(benchIo()),
    benchCpuidScript: layout.script(benchCpuid()),
  };
  const bytes = new Uint8Array(Number(start - program.origin) + layout.bytes.length);
  bytes.set(program.bytes);
  bytes.set(layout.bytes, Number(start - program.origin));
  const view = new DataView(bytes.buffer);
  for (const [name, address] of Object.entries(pointers)) {
    const at = program.symbols.get(name);
    if (at === undefined) throw new Error(`the client has no symbol ${name}`);
    view.setBigUint64(Number(at - program.origin), address, true);
  }
  const entry = program.symbols.get("start");
  if (entry === undefined) throw new Error("the client has no start");
  return staticElf(bytes, entry);
};

export { cpuidChecksum, ioChecksum } from "./bench-guests.ts";
