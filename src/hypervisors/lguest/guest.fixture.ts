import { cpuModel } from "../../cpu/cpu-model.ts";
import { isRefusal } from "../../machine/boot/load-plan.ts";
import { Host, machineCodeOf } from "../host32/host.ts";
import { entryMark, hypercall, lguestData, selector, slotStatus } from "./abi.ts";
import { DeviceFile, request } from "./device-file.ts";
import type { Guest } from "./guest.ts";
import { elfFile, loadGuest } from "./image.ts";
import { switcherBase } from "./layout.ts";
import { type Mode, quirksOf } from "./quirks.ts";
import { Lguest } from "./run-guest.ts";

/** Guests of a few lines for tests: the text below is in ring 1, linked at `origin`. */

const MIB = 0x10_0000;
const hostBytes = 16 * MIB;
export const guestBytes = 4 * MIB;
export const offset = 0xc000_0000;
export const origin = offset + MIB;

/** Assembly: hypercall `name` with arguments in EDX, EBX and ECX. */
export const call = (name: keyof typeof hypercall, ...args: (string | number)[]): string =>
  [
    ...args.map((value, n) => `mov ${["edx", "ebx", "ecx"][n]}, ${value}`),
    `mov eax, ${hypercall[name]}`,
    "int 31",
  ].join("\n");
export const init = call("INIT", "shared - V");
/** Comes back from read() with this number as the DMA's address. */
export const report = (number: number | string): string => call("SEND_DMA", 0, number);
export const setGate = (vector: number, label: string, type: 14 | 15, level = 3): string => `
        mov edx, ${vector}
        mov ebx, ${label}
        mov ecx, ebx
        and ecx, 0xffff0000
        or ecx, ${0x8000 | (level << 13) | (type << 8)}
        and ebx, 0xffff
        mov eax, ${hypercall.LOAD_IDT_ENTRY}
        int 31`;
/** To ring 3, at a label, with a stack of its own. The page tables must let programs in. */
export const toProgram = (label: string): string => `
        push dword ${selector.USER_DS}
        push dword programStack
        push dword 0x202
        push dword ${selector.USER_CS}
        push dword ${label}
        iretd`;

const surrounded = (text: string): string => `
        bits 32
V       equ ${offset}
        db "${entryMark}"
        mov esp, kernelStack
${text}
        align 16
gdt:    times 12 dq 0
        dq 0x00cfbb000000ffff, 0x00cfb3000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
        times 16 dq 0
shared: times ${lguestData.hcall_status} db 0
        times 64 db ${slotStatus.done}
        times ${lguestData.bytes - lguestData.hcalls} db 0
        align 4096
page:   resb 4096
        resb 4096
kernelStack:
        resb 4096
programStack:
`;

export interface TestGuest {
  readonly guest: Guest;
  readonly file: DeviceFile;
  /** Addresses of the text's labels, virtual. */
  readonly at: (label: string) => number;
  /** A word of guest memory, by virtual address. */
  readonly word: (address: number) => number;
  readonly poke: (address: number, value: number) => void;
  /** Guest-physical address of the page-table entry of a virtual address in the Launcher's tables. */
  readonly pte: (address: number) => number;
  /** One read() of /dev/lguest: the number of a report, an error, or the reason of its death. */
  readonly read: (budget?: number) => number | string;
}

export interface TestHost {
  readonly host: Host;
  readonly module: Lguest;
  /** A further guest, in memory of its own. */
  readonly add: (text: string | Uint8Array) => TestGuest;
}

const mostGuests = 3;

export const testHost = (mode: Mode = "fixed", processors = 1): TestHost => {
  const host = new Host({
    memoryBytes: hostBytes + mostGuests * guestBytes,
    hostBytes,
    processors,
    model: cpuModel("default", { processors })!,
  });
  const module = new Lguest(host, mode, quirksOf(mode));
  let count = 0;
  const add = (text: string | Uint8Array): TestGuest => {
    const { bytes, symbols } =
      typeof text === "string"
        ? machineCodeOf(surrounded(text), origin)
        : { bytes: text, symbols: new Map<string, number>() };
    const image = { name: "test", bytes: elfFile(bytes, origin, MIB, bytes.length) };
    const loaded = loadGuest(image, "", guestBytes, 0);
    if (isRefusal(loaded)) throw new Error(loaded.message);
    const base = hostBytes + (count++ % mostGuests) * guestBytes;
    host.memory.write(base, new Uint8Array(guestBytes));
    for (const part of loaded.parts) host.memory.write(base + part.address, part.bytes);
    const file = new DeviceFile(module, { base, pages: guestBytes / 4096 });
    const task = {};
    const { directory, start, pageOffset } = loaded;
    const made = file.write(task, [request.INITIALIZE, guestBytes / 4096, directory, start, pageOffset]);
    if (made !== 0) throw new Error(`INITIALIZE: ${made}`);
    const guest = file.guest!;
    let reading: ReturnType<DeviceFile["read"]> | undefined;
    return {
      guest,
      file,
      at: (label) => symbols.get(label) ?? Number.NaN,
      word: (address) => guest.read32(address - offset),
      poke: (address, value) => guest.write32(address - offset, value),
      pte: (address) => directory - 4096 + 4 * ((address >>> 12) & 1023),
      read: (budget = 200_000) => {
        // A read that is not back yet goes on.
        reading ??= file.read(task);
        const driven = host.drive(reading, budget, true);
        if (driven.kind !== "budget") reading = undefined;
        if (driven.kind === "died") return `host: ${host.died}`;
        if (driven.kind !== "done") return driven.kind;
        const { result } = driven;
        if (typeof result === "number") return result;
        return result.length === 8 ? new Uint32Array(result.buffer)[0]! : new TextDecoder().decode(result);
      },
    };
  };
  return { host, module, add };
};

/** A host and one guest. */
export const testGuest = (text: string, mode: Mode = "fixed"): TestHost & TestGuest => {
  const made = testHost(mode);
  return { ...made, ...made.add(text) };
};

/** The same with a page that programs may touch: everything is open to ring 3. */
export const openToPrograms = ({ guest }: TestGuest): void => {
  for (let page = 0; page < guestBytes / 4096; page++) {
    const at = guest.limit - 8192 + 4 * page;
    guest.write32(at, guest.read32(at) | 4);
  }
  const pde = guest.limit - 4096 + 4 * (offset >>> 22);
  guest.write32(pde, guest.read32(pde) | 4);
};

/** What must not differ after an exit, whatever the guest did. */
export const hostRegisters = ({ host }: TestHost): Record<string, bigint | number> => {
  const { state } = host;
  const names = [
    "GDTR.base",
    "IDTR.base",
    "TR.base",
    "CR3",
    "RSP",
    "RBP",
    "DS.selector",
    "ES.selector",
    "FS.selector",
  ] as const;
  const more = [
    "GS.selector",
    "SS.selector",
    "CS.selector",
    "TR.selector",
    "GDTR.limit",
    "IDTR.limit",
  ] as const;
  return Object.fromEntries([...names, ...more].map((name) => [name, state[name]]));
};

/** A hash of everything of the host's that no guest may change: text, tables, stack contents above the stack pointer. */
export const hostFingerprint = ({ host, module }: TestHost): string => {
  const parts: Uint8Array[] = [];
  for (const { start, end } of host.code)
    if (start < switcherBase) parts.push(host.memory.read(host.physical(start), end - start));
  parts.push(host.memory.read(host.physical(host.IDT), 2048), host.memory.read(host.directory, 4096));
  for (const cpu of host.cpus) parts.push(host.memory.read(host.physical(cpu.GDT), 256));
  for (const { guestTable } of module.switcher.cpus) {
    const table = host.memory.read(guestTable, 16);
    parts.push(table.subarray(0, 4));
  }
  let hash = 0x811c9dc5;
  for (const part of parts) for (const byte of part) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return (hash >>> 0).toString(16);
};

/** Replace an instruction of the Switcher, wherever it occurs, by another of the same length or by NOPs. */
export const replaceInstruction = ({ host, module }: TestHost, from: string, to = ""): number => {
  const codeOf = (text: string): Uint8Array => machineCodeOf(` bits 32\n${text}\n`, 0).bytes;
  const old = codeOf(from);
  const next = new Uint8Array(old.length).fill(0x90);
  next.set(codeOf(to));
  const [start, end] = [
    module.switcher.symbols.get("switch_to_guest")!,
    module.switcher.symbols.get("trap0")!,
  ];
  const text = module.switcher.text;
  let count = 0;
  for (let at = 0; at + old.length <= end - start; at++) {
    const here = host.memory.read(text + at, old.length);
    if (!old.every((byte, n) => here[n] === byte)) continue;
    host.memory.write(text + at, next);
    count++;
  }
  return count;
};
