import { vmcsField } from "../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../arch/vmx-controls.ts";
import { assemble } from "../asm/index.ts";
import {
  baselineControls,
  baselineFields,
  controlBits,
  type FieldValues,
  type GuestModeName,
  guestModes,
} from "./vmx-baseline.ts";
import { vmxSource, vmxSymbols } from "./vmx-source.ts";
import { BASE } from "./vmx-source-start.ts";

/**
 * A bare-metal kernel that makes VM entries from a table and prints what each came to (vmx-report.ts): a multiboot 1
 * image, the same for every machine with VT-x.
 */

/** One case: the baseline VMCS with changes, and what the guest does. */
export interface VmxCase {
  readonly name: string;
  /** Default: "64-bit". */
  readonly mode?: GuestModeName;
  /** Controls set and cleared after the baseline's. Secondary controls need no word about their activation. */
  readonly on?: readonly ControlKey[];
  readonly off?: readonly ControlKey[];
  /** Values of fields, written last. */
  readonly set?: FieldValues;
  /** Bits changed in fields as they are then. */
  readonly flip?: FieldValues;
  readonly msrs?: Readonly<Record<number, bigint | number>>;
  /** Quadwords stored in memory, by address. */
  readonly stores?: Readonly<Record<number, bigint | number>>;
  /** Initial values of general-purpose registers, by number. */
  readonly registers?: Readonly<Record<number, bigint | number>>;
  /** Assembly of the guest, in its mode's code size; default VMCALL. Symbols: vmxMemory, names of VMCS fields. */
  readonly guest?: string;
  /** Assembly of the host, in place of a VM entry, with a guest or without; what it leaves in registers and RFLAGS is reported. */
  readonly host?: string;
  /** The host-state area is that of a VMM outside IA-32e mode: for `host` to call `legacyLaunch`. */
  readonly legacyHost?: boolean;
  /** Assembly of the host before the first entry. */
  readonly prepare?: string;
  /** Assembly of the host before each further entry, or after `host`. */
  readonly between?: string;
  /** VM entries at most; default 1. */
  readonly entries?: number;
  /** Whether the guest's RIP moves past the instruction between entries; default true. */
  readonly advance?: boolean;
  /** Quadwords whose changes are reported, by address; at most 8. */
  readonly watch?: readonly number[];
}

const operation = { set: 0, or: 1, andNot: 2, xor: 3, msr: 4, memory: 5, register: 6 } as const;
const caseFlag = { host: 1, advance: 2, legacyHost: 4 } as const;
const HEADER_BYTES = 48;

export interface Machinery {
  readonly bytes: Uint8Array;
  readonly symbols: Readonly<Record<string, bigint>>;
}

const assembled = (
  what: string,
  text: string,
  options: { codeSize: 16 | 32 | 64; origin: number; symbols: Readonly<Record<string, bigint | number>> },
): Machinery => {
  const assembly = assemble(text, options);
  if (assembly.kind === "errors")
    throw new Error(
      `${what}: ${assembly.errors.map(({ line, message }) => `${line}: ${message}`).join("\n")}`,
    );
  return { bytes: assembly.bytes, symbols: Object.fromEntries(assembly.symbols) };
};

const baselineText = (): string => {
  const rows = Object.entries(baselineFields).map(
    ([name, value]) => ` dd ${name}, 0\n dq 0x${BigInt(value).toString(16)}`,
  );
  for (const [name, msr, keys] of baselineControls)
    rows.push(` dd ${name}, ${msr}\n dq ${controlBits(keys)}`);
  rows.push(" dd host.gdtr.base, 0\n dq gdt", " dd host.idtr.base, 0\n dq hostIdt");
  rows.push(" dd host.tr.base, 0\n dq hostTss", " dd host.rip, 0\n dq exited");
  return [" align 8\nbaseline:", ...rows, " dd -1, 0"].join("\n");
};

/** The kernel up to its table of cases, with `main` to start at; the table's address is the symbol "caseTable". */
export const machinery = (main: string): Machinery =>
  assembled("VMX kernel", `${vmxSource}\n${main}\n${baselineText()}\n align 16\ncaseTable:\n`, {
    codeSize: 32,
    origin: BASE,
    symbols: vmxSymbols,
  });

interface Write {
  readonly target: number;
  readonly operation: number;
  readonly value: bigint;
}

const controlWrites = (on: readonly ControlKey[], off: readonly ControlKey[]): Write[] => {
  const write = (key: ControlKey, op: number): Write => ({
    target: vmcsField(vmxControl(key).field).encoding,
    operation: op,
    value: 1n << BigInt(vmxControl(key).bit),
  });
  return [...on.map((key) => write(key, operation.or)), ...off.map((key) => write(key, operation.andNot))];
};

const fieldWrites = (fields: FieldValues, op: number): Write[] =>
  Object.entries(fields).map(([name, value]) => ({
    target: vmcsField(name as keyof FieldValues).encoding,
    operation: op,
    value: BigInt.asUintN(64, BigInt(value)),
  }));

const numbered = (values: Readonly<Record<number, bigint | number>>, op: number): Write[] =>
  Object.entries(values).map(([target, value]) => ({
    target: Number(target),
    operation: op,
    value: BigInt.asUintN(64, BigInt(value)),
  }));

const writesOf = (test: VmxCase): Write[] => {
  const mode = guestModes[test.mode ?? "64-bit"];
  return [
    ...controlWrites(mode.on, mode.off),
    ...fieldWrites(mode.set, operation.set),
    ...controlWrites(test.on ?? [], test.off ?? []),
    ...fieldWrites(test.set ?? {}, operation.set),
    ...fieldWrites(test.flip ?? {}, operation.xor),
    ...numbered(test.msrs ?? {}, operation.msr),
    ...numbered(test.stores ?? {}, operation.memory),
    ...numbered(test.registers ?? {}, operation.register),
  ];
};

/** A case's record at an address, and the code of the host that it points to. */
const recordOf = (test: VmxCase, number: number, address: number, kernel: Machinery): Uint8Array => {
  const mode = guestModes[test.mode ?? "64-bit"];
  const symbols = { ...vmxSymbols, ...kernel.symbols };
  const guest =
    test.host === undefined || test.guest !== undefined
      ? assembled(test.name, test.guest ?? "vmcall", {
          codeSize: mode.codeSize,
          origin: mode.codeSize === 16 ? 0 : mode.codeAddress,
          symbols: vmxSymbols,
        }).bytes
      : new Uint8Array();
  const writes = writesOf(test);
  const watch = test.watch ?? [];
  const guestAt = HEADER_BYTES + 16 * writes.length + 8 * watch.length;
  const parts: Uint8Array[] = [];
  let end = guestAt + ((guest.length + 7) & ~7);
  // The host's code stands behind the record; the kernel finds the next one by the guest's length and what follows.
  const codeOf = (text: string | undefined): number => {
    if (text === undefined) return 0;
    const at = address + end;
    const { bytes } = assembled(test.name, `${text}\n ret`, { codeSize: 64, origin: at, symbols });
    const padded = new Uint8Array((bytes.length + 7) & ~7);
    padded.set(bytes);
    parts.push(padded);
    end += padded.length;
    return at;
  };
  const first = codeOf(test.host ?? test.prepare);
  const between = codeOf(test.between);
  const record = new Uint8Array(end);
  const view = new DataView(record.buffer);
  const flags =
    (test.host === undefined ? 0 : caseFlag.host) |
    (test.advance === false ? 0 : caseFlag.advance) |
    (test.legacyHost ? caseFlag.legacyHost : 0);
  for (const [i, word] of [number, flags, test.entries ?? 1, writes.length].entries())
    view.setUint32(4 * i, word, true);
  view.setUint32(16, first, true);
  view.setUint32(24, between, true);
  view.setUint32(32, guest.length, true);
  view.setUint32(36, mode.codeAddress, true);
  view.setUint32(40, watch.length, true);
  view.setUint32(44, end, true);
  for (const [i, write] of writes.entries()) {
    view.setUint32(HEADER_BYTES + 16 * i, write.target, true);
    view.setUint32(HEADER_BYTES + 16 * i + 4, write.operation, true);
    view.setBigUint64(HEADER_BYTES + 16 * i + 8, write.value, true);
  }
  for (const [i, at] of watch.entries()) view.setUint32(guestAt - 8 * (watch.length - i), at, true);
  record.set(guest, guestAt);
  let codeAt = guestAt + ((guest.length + 7) & ~7);
  for (const part of parts) {
    record.set(part, codeAt);
    codeAt += part.length;
  }
  return record;
};

/** The kernel with its cases, whose numbers are their places in the list. */
export const withCases = (kernel: Machinery, cases: readonly VmxCase[]): Uint8Array => {
  const records: Uint8Array[] = [];
  let length = kernel.bytes.length;
  for (const [number, test] of cases.entries()) {
    const record = recordOf(test, number, BASE + length, kernel);
    records.push(record);
    length += record.length;
  }
  const image = new Uint8Array(length + 8).fill(0xff);
  image.set(kernel.bytes);
  let at = kernel.bytes.length;
  for (const record of records) {
    image.set(record, at);
    at += record.length;
  }
  return image;
};

/** An image, and where in it a label of its `main` is. */
export interface Kernel {
  readonly image: Uint8Array;
  readonly offsetOf: (label: string) => number;
}

/** The kernel with another way through its cases: `table` is the label of their records' addresses, which `main` may use. */
export const kernelWith = (main: string, cases: readonly VmxCase[], table: string): Kernel => {
  // Where the records are does not change how long the code is: first with any addresses, then with theirs.
  const text = (addresses: readonly number[]): string =>
    `${main}\n align 8\n${table}:\n${addresses.map((address) => ` dq ${address}`).join("\n")}`;
  const first = machinery(text(cases.map(() => 0)));
  const addresses: number[] = [];
  let at = BASE + first.bytes.length;
  for (const [number, test] of cases.entries()) {
    addresses.push(at);
    at += recordOf(test, number, at, first).length;
  }
  const kernel = machinery(text(addresses));
  return {
    image: withCases(kernel, cases),
    offsetOf: (label) => Number(kernel.symbols[label]!) - BASE,
  };
};

/** A multiboot image that runs the cases one after the other and switches the machine off. */
export const vmxKernel = (cases: readonly VmxCase[]): Uint8Array =>
  withCases(machinery("main:   jmp runCases"), cases);
