/**
 * The property: two worlds take turns on one processor, and nothing of one is ever found in the other. Every register class of both
 * holds values of its own; each way out of the guest is taken; then the switch is broken on purpose, and that must be noticed.
 */
import { describe, expect, it } from "vitest";
import { selector } from "./abi.ts";
import { call, hostFingerprint, init, replaceInstruction, setGate, testGuest } from "./guest.fixture.ts";
import { regs, state, switcherBase } from "./layout.ts";

const guestValues = {
  ebx: 0x1b1b1b1b,
  ecx: 0x1c1c1c1c,
  edx: 0x1d1d1d1d,
  esi: 0x15151515,
  edi: 0x1e1e1e1e,
  ebp: 0x1f1f1f1f,
} as const;
const guestSegments = { fs: selector.USER_DS, gs: 0x33, es: 0x3b } as const;
const hostValues = { RBP: 0x2f2f_2f2fn, RSI: 0x2525_2525n, RDI: 0x2e2e_2e2en } as const;
const hostSegments = {
  DS: selector.KERNEL_DS,
  ES: selector.USER_DS,
  FS: selector.KERNEL_DS,
  GS: selector.USER_DS,
} as const;
const rounds = 12;

/** Fills its registers, leaves by `way`, and looks whether all came back; then its FPU. */
const program = (way: string): string => `
${init}
        mov esi, gdt + 8 * 15
        mov edi, gdt + 8 * 6
        mov ecx, 2
        rep movsd
        mov esi, gdt + 8 * 15
        mov ecx, 2
        rep movsd
${call("LOAD_GDT", "gdt - V", 32)}
${setGate(34, "handler", 14)}
        fld1
        mov eax, 0x3f800000
        movd xmm5, eax
        mov dword [page], ${rounds}
again:  ${Object.entries(guestSegments)
  .map(([name, value]) => `mov eax, ${value}\n mov ${name}, eax`)
  .join("\n")}
        ${Object.entries(guestValues)
          .map(([name, value]) => `mov ${name}, ${value}`)
          .join("\n")}
        xor eax, eax
        stc
${way}
        jnc mixed
        ${Object.entries(guestValues)
          .map(([name, value]) => `cmp ${name}, ${value}\n jne mixed`)
          .join("\n")}
        ${Object.entries(guestSegments)
          .map(([name, value]) => `mov eax, ${name}\n cmp eax, ${value}\n jne mixed`)
          .join("\n")}
        mov eax, ds
        cmp eax, ${selector.KERNEL_DS + 1}
        jne mixed
        cmp esp, kernelStack
        jne mixed
        movd eax, xmm5
        cmp eax, 0x3f800000
        jne mixed
        dec dword [page]
        jnz again
        fistp dword [page]
        cmp dword [page], 1
        jne mixed
${call("CRASH", "apart - V")}
mixed:
${call("CRASH", "wrong - V")}
handler: iretd
apart:  db "apart", 0
wrong:  db "mixed", 0`;

const ways = {
  hypercall: "int 31",
  "a page fault": "mov [page + 4096], eax\n int 31",
  "an emulated instruction": "out 0x80, al",
  "an interrupt": "spin: inc eax\n cmp eax, 300\n jb spin\n stc",
  "an interrupt in its switch": "int 31",
  "an NMI in its switch": "int 31",
  "an abandoned entry": "int 31",
} as const;

type Way = keyof typeof ways;

/** What was found where it should not be; nothing when the worlds stay apart. */
const mixtures = (way: Way, broken?: readonly [from: string, to?: string]): string[] => {
  const test = testGuest(program(ways[way]));
  const { host, guest, module } = test;
  const found: string[] = [];
  if (broken !== undefined && replaceInstruction(test, ...broken) === 0)
    throw new Error(`no ${broken[0]} in the Switcher`);
  Object.assign(host.state, hostValues);
  for (const [name, value] of Object.entries(hostSegments)) host.state[`${name as "DS"}.selector`] = value;
  const fingerprint = hostFingerprint(test);
  const { runOnce } = module.switcher;
  const back = host.code.find(({ name }) => name === "host side")!.symbols.get("runOnce.back");
  host.pc.portBus.write(0x21, 0xe9, 1);
  host.onVector(33, () => host.pc.chipset.pic.line(1).set(false));
  let switches = 0;
  let step = 0;
  let spins = 0;
  const expectHost = (where: string): void => {
    const { state: now } = host;
    const differs = (name: string, is: bigint | number, should: bigint | number): void => {
      if (is !== should) found.push(`${where}: the host's ${name} is 0x${is.toString(16)}`);
    };
    differs("GDTR", now["GDTR.base"], BigInt(host.cpus[0]!.GDT));
    differs("IDTR", now["IDTR.base"], BigInt(host.IDT));
    differs("TR", now["TR.base"], BigInt(host.cpus[0]!.TSS));
    differs("CR3", now.CR3, BigInt(host.directory));
    differs("SS", now["SS.selector"], selector.KERNEL_DS);
    for (const [name, value] of Object.entries(hostSegments))
      differs(name, now[`${name as "DS"}.selector`], value);
    if (guest.get("trapnum") !== 7) differs("CR0.TS", now.CR0 & 8n, guest.exits[7] === 0 ? 8n : 0n);
  };
  host.run = (processor, budget) => {
    const rip = host.state.low32("RIP");
    const ring0 = (host.state["CS.selector"] & 3) === 0;
    if (rip === runOnce) {
      switches++;
      step = 0;
    }
    if (rip === back) {
      expectHost("after an exit");
      const values = Object.entries(guestValues);
      if (guest.get("trapnum") === 31 && guest.get("eax") === 0 && switches > 8)
        for (const [name, value] of values) {
          const is = host.memory.read32(guest.regsPage + regs[name as "ebx"]);
          if (is !== value) found.push(`lguest_regs.${name} is 0x${is.toString(16)}`);
        }
    }
    const within = ring0 && rip >= switcherBase && rip < module.switcher.end;
    if (within) step++;
    if (way === "an NMI in its switch" && within && (step + switches) % 6 === 0) processor.nmiPending = true;
    if (way === "an interrupt in its switch" && within && step === 10 && switches % 3 === 0)
      host.pc.chipset.pic.line(1).set(true);
    if (way === "an interrupt" && !ring0 && host.state.low32("RAX") === 100 + (spins % 7) && spins++ >= 0)
      host.pc.chipset.pic.line(1).set(true);
    if (way === "an abandoned entry" && ring0 && rip === back) guest.breakOut = switches % 2 === 0;
    return processor.run(Math.min(budget, 1));
  };
  for (let reads = 0; reads < 60; reads++) {
    const outcome = test.read(60_000);
    if (outcome === -11) guest.breakOut = false;
    else if (outcome !== -2) {
      if (outcome !== "apart\0") found.push(String(outcome).replace("\0", ""));
      break;
    }
  }
  if (host.died === undefined) {
    for (const [name, value] of Object.entries(hostValues))
      if (host.state[name as "RBP"] !== value)
        found.push(`the host's ${name} is 0x${host.state[name as "RBP"].toString(16)}`);
    if (hostFingerprint(test) !== fingerprint) found.push("the host's text or tables have changed");
  }
  const interrupted = way.startsWith("an interrupt");
  if (interrupted && broken === undefined && (host.served[33] === 0 || host.served[33] !== guest.exits[33]))
    found.push(`${host.served[33]} interrupts served, ${guest.exits[33]} exits for them`);
  return found;
};

describe("the worlds stay apart", () => {
  it.each(Object.keys(ways) as Way[])("when the guest leaves by %s", (way) => {
    expect(mixtures(way)).toEqual([]);
  });
});

const gdtDescriptor = (which: number): string => `[eax + ${which}]`;

// biome-ignore format: one row per mutation
const mutations: readonly (readonly [Way, string, string?])[] = [
  ["hypercall", "push ecx", "push ebx"],
  ["hypercall", "push edi\n push esi", "push esi\n push edi"],
  ["hypercall", "push edx", "nop"],
  ["hypercall", "push gs", "push fs"],
  ["hypercall", "push fs", "nop"],
  ["hypercall", "pop ebx\n pop ecx", "pop ecx\n pop ebx"],
  ["hypercall", "pop esi", "pop edi"],
  ["hypercall", "pop ebp", "nop"],
  ["hypercall", "pop gs\n pop eax", "pop eax\n pop gs"],
  ["hypercall", "add esp, 8", "add esp, 4"],
  ["hypercall", `mov eax, ${selector.LGUEST_DS}\n mov ds, eax`, ""],
  ["hypercall", `mov [eax + ${state.host_stack}], esp`, ""],
  ["hypercall", `lea esp, [eax + ${regs.ebx}]`, `lea esp, [eax + ${regs.ecx}]`],
  ["hypercall", `lidt ${gdtDescriptor(state.guest_idt_desc)}`, ""],
  ["hypercall", `lgdt ${gdtDescriptor(state.guest_gdt_desc)}`, ""],
  ["hypercall", `lidt ${gdtDescriptor(state.host_idt_desc)}`, ""],
  ["hypercall", `lgdt ${gdtDescriptor(state.host_gdt_desc)}`, ""],
  ["hypercall", "ltr dx", ""],
  ["hypercall", "mov cr3, ebx", ""],
  ["hypercall", "mov cr3, edx", ""],
  ["hypercall", "pop fs\n pop gs", "pop gs\n pop fs"],
  ["hypercall", "pop ds\n pop es\n iretd", "pop es\n pop ds\n iretd"],
  ["hypercall", `lss esp, [eax + ${state.host_stack}]`, `mov esp, [eax + ${state.host_sp}]`],
  ["hypercall", `lss esp, [eax + ${state.host_stack}]`, ""],
  ["an interrupt", `mov ebx, [eax + ${regs.trapnum}]`, ""],
  ["an interrupt", "mov eax, [edx + ebx * 8]", "mov eax, [edx + ebx * 4]"],
  ["an NMI in its switch", `lidt ${gdtDescriptor(state.guest_idt_desc)}\n lgdt ${gdtDescriptor(state.guest_gdt_desc)}`, `lgdt ${gdtDescriptor(state.guest_gdt_desc)}\n lidt ${gdtDescriptor(state.guest_idt_desc)}`],
];

describe("a broken switch is noticed", () => {
  it.each(mutations.map(([way, from, to]) => ({ way, from, to })))(
    "$way: $from -> $to",
    ({ way, from, to }) => {
      expect(mixtures(way, to === undefined ? [from] : [from, to])).not.toEqual([]);
    },
  );
});
