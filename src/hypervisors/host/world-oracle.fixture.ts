import type { U64Field } from "../../state/layout.ts";
import type { HostProcessor } from "./host-processor.ts";

/**
 * The property of every world switch: after it, each register of either world has what that world put there, and nothing of the
 * other. The oracle fills both worlds with values that occur nowhere else, and says in sentences what has been mixed up.
 */

const tag = { host: 0x0a57_0000_0000n, guest: 0x0e57_0000_0000n } as const;

/** A value that belongs to one world and one register: canonical as an address, and unlike any other in both halves. */
export const worldValue = (world: "host" | "guest", number: number): bigint =>
  tag[world] + BigInt(number + 1) * 0x1_0001_0101n;

/** What the switch promises its caller to keep. */
export interface HostPromise {
  /** General registers, MSRs ... by their names in the state. */
  readonly registers: readonly U64Field[];
  /** XMM registers too. */
  readonly hasVectors: boolean;
  /** Bytes of stack above the call. */
  readonly stackBytes: number;
}

const quadwords = (bytes: Uint8Array): bigint[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, n) => view.getBigUint64(8 * n, true));
};

/** The host's side: fill, run the switch, compare. */
export class HostWorld {
  readonly #cpu: HostProcessor;
  readonly #promise: HostPromise;
  readonly #memory: {
    read(address: number, length: number): Uint8Array;
    write(address: number, bytes: Uint8Array): void;
  };
  #rsp = 0;
  #stack: bigint[] = [];

  constructor(
    cpu: HostProcessor,
    memory: {
      read(address: number, length: number): Uint8Array;
      write(address: number, bytes: Uint8Array): void;
    },
    promise: HostPromise,
  ) {
    this.#cpu = cpu;
    this.#memory = memory;
    this.#promise = promise;
  }

  fill(): void {
    const { registers, hasVectors, stackBytes } = this.#promise;
    const { state } = this.#cpu;
    this.#cpu.select();
    // Room for the filled stack above the caller.
    state.RSP = BigInt(this.#cpu.stackTop - 64 - stackBytes);
    this.#rsp = this.#cpu.stackPointer;
    registers.forEach((name, n) => {
      state[name] = worldValue("host", n);
    });
    if (hasVectors) for (let n = 0; n < 16; n++) new BigUint64Array(16);
    if (hasVectors)
      for (let n = 0; n < 16; n++) {
        const view = new DataView(state.buffer, state.bytes(`XMM${n}`).byteOffset);
        view.setBigUint64(0, worldValue("host", 64 + 2 * n), true);
        view.setBigUint64(8, worldValue("host", 65 + 2 * n), true);
      }
    const stack = new BigUint64Array(stackBytes / 8).map((_, n) => worldValue("host", 1000 + n));
    this.#memory.write(this.#rsp, new Uint8Array(stack.buffer));
    this.#stack = [...stack];
  }

  /** What is not as it was, one sentence each. */
  mixed(): string[] {
    const { registers, hasVectors, stackBytes } = this.#promise;
    const { state } = this.#cpu;
    this.#cpu.select();
    const says: string[] = [];
    const compare = (what: string, found: bigint, expected: bigint): void => {
      if (found !== expected)
        says.push(`host ${what} is ${hex(found)}${ownerOf(found)}, was ${hex(expected)}`);
    };
    compare("RSP", state.RSP, BigInt(this.#rsp));
    registers.forEach((name, n) => {
      compare(name, state[name], worldValue("host", n));
    });
    if (hasVectors)
      for (let n = 0; n < 16; n++) {
        const view = new DataView(state.buffer, state.bytes(`XMM${n}`).byteOffset);
        compare(`XMM${n}`, view.getBigUint64(0, true), worldValue("host", 64 + 2 * n));
        compare(`XMM${n} (high)`, view.getBigUint64(8, true), worldValue("host", 65 + 2 * n));
      }
    quadwords(this.#memory.read(this.#rsp, stackBytes)).forEach((value, n) => {
      compare(`stack + ${8 * n}`, value, this.#stack[n]!);
    });
    return says;
  }
}

/** The guest's side: by name, what was put in and what is found. */
export const guestMixed = <Name extends string>(
  names: readonly Name[],
  found: (name: Name, n: number) => bigint,
  where: string,
): string[] =>
  names.flatMap((name, n) => {
    const [value, expected] = [found(name, n), worldValue("guest", n)];
    return value === expected
      ? []
      : [`guest ${name} ${where} is ${hex(value)}${ownerOf(value)}, was ${hex(expected)}`];
  });

const ownerOf = (value: bigint): string => {
  for (const world of ["host", "guest"] as const)
    for (let n = 0; n < 2000; n++) if (value === worldValue(world, n)) return ` (value ${n} of the ${world})`;
  return "";
};

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/**
 * Every way to break a listing that must be noticed: each line that stores or loads a register left out, and each two neighbouring
 * stores with their registers swapped. Lines are those that `matches`.
 */
export const listingMutations = (
  text: string,
  matches: RegExp,
): readonly { readonly name: string; readonly text: string }[] => {
  const lines = text.split("\n");
  const at = lines.flatMap((line, n) => (matches.test(line) ? [n] : []));
  const dropped = at.map((n) => ({
    name: `without "${lines[n]!.trim()}" (line ${n})`,
    text: lines.filter((_, other) => other !== n).join("\n"),
  }));
  const store = /^(\s*mov \[[^\]]+\],\s*)(\w+)(.*)$/;
  const swapped = at.flatMap((n) => {
    const [one, two] = [store.exec(lines[n]!), store.exec(lines[n + 1] ?? "")];
    if (one === null || two === null || one[2] === two[2] || !at.includes(n + 1)) return [];
    const changed = [...lines];
    changed[n] = `${one[1]}${two[2]}${one[3]}`;
    changed[n + 1] = `${two[1]}${one[2]}${two[3]}`;
    return [
      { name: `"${lines[n]!.trim()}" and the next line with registers swapped`, text: changed.join("\n") },
    ];
  });
  return [...dropped, ...swapped];
};
