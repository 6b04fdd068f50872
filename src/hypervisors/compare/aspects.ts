import type { SwitchStep } from "../host/switch-trace.ts";
import type { Act, Experiment } from "./experiment.ts";
import type { Crossing, LazyRegisters } from "./recorder.ts";

/** The aspects of a world switch, each as one sentence made of what was seen: the same words for all hypervisors. */

export interface Aspect {
  readonly name: string;
  /** What somebody wants to know who asks for it. */
  readonly asks: string;
  readonly tell: (seen: Experiment) => string;
}

type Instruction = SwitchStep & { readonly kind: "instruction" };

const instructions = (steps: readonly SwitchStep[]): Instruction[] =>
  steps.filter((step): step is Instruction => step.kind === "instruction");
const hex = (value: bigint): string => `0x${value.toString(16)}`;
const list = (words: readonly string[]): string => (words.length === 0 ? "none" : words.join(", "));
const times = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
/** Each once, in order. */
const once = (words: readonly string[]): string[] => [...new Set(words)];
/** Neighbours that are the same, once. */
const turns = (words: readonly string[]): string[] => words.filter((word, n) => word !== words[n - 1]);
const labelOf = ({ at }: Instruction): string => at.replace(/ \+ .*/, "");
const reasonOf = ({ exit: [first] }: Crossing): string =>
  first?.kind === "processor" ? (first.says[0]?.replace(/:.*/, "") ?? "") : "none";

const deviceExits = ({ exits }: Experiment): Crossing[] => exits.crossings.filter(({ atDevice }) => atDevice);
/** The exit to a device when all has settled. */
const settled = (seen: Experiment): Crossing | undefined => deviceExits(seen).at(-1);
const kernelExit = ({ exits }: Experiment): Crossing | undefined =>
  exits.crossings.filter(({ exit, atDevice }) => exit.length > 0 && !atDevice).at(-1);

/** Registers of the guest that instructions store after the exit, in order, each with its last place. */
const saves = (crossing: Crossing) =>
  instructions(crossing.exit).flatMap(({ moved }) =>
    moved.filter(
      ({ owner, direction, place }) => owner === "guest" && direction === "stored" && place !== undefined,
    ),
  );
const loads = (crossing: Crossing) =>
  instructions(crossing.entry).flatMap(({ moved }) =>
    moved.filter(({ owner, direction }) => owner === "guest" && direction === "loaded"),
  );
const names = (moved: readonly { readonly register: string }[]): string[] =>
  once(moved.map(({ register }) => register.toUpperCase()));
const byProcessor = (step: SwitchStep | undefined): number =>
  step?.kind === "processor" ? step.moved.length : 0;
const entryText = ({ entry }: Crossing): string =>
  instructions(entry).at(-1)?.text.replace(/ .*/, "").toUpperCase() ?? "none";

const guestMode = (seen: Experiment): string => {
  const crossing = settled(seen);
  if (crossing === undefined) return "the guest never left for a device";
  const entry = crossing.entry.at(-1);
  const isVmx = entry?.kind === "processor" && entry.event === "VM entry";
  return `${isVmx ? "VMX non-root operation" : "no VMX operation"}, ring ${crossing.ring}, ${crossing.bits}-bit`;
};

const paging = (seen: Experiment): string => {
  const translation = settled(seen)?.translation;
  if (translation === undefined) return "not seen";
  const { inUse, guestsOwn, hosts, nested } = translation;
  if (nested !== undefined)
    return `EPT at ${hex(nested)} under the guest's own tables at ${hex(guestsOwn)}; the host's are at ${hex(hosts)}`;
  return inUse === guestsOwn
    ? `the guest's own tables at ${hex(inUse)}`
    : `shadow tables at ${hex(inUse)}; the guest believes in its own at ${hex(guestsOwn)}`;
};

const vmxInstruction = /^(vmptrld|vmclear|vmlaunch|vmresume|invept|invvpid|iretd?)\b/;
const residency = (seen: Experiment): string => {
  const [first, second] = deviceExits(seen);
  if (first === undefined || second === undefined) return "not seen";
  const next = seen.exits.crossings[seen.exits.crossings.indexOf(first) + 1];
  const steps = instructions([...first.exit, ...first.after, ...(next?.entry ?? [])]);
  const found = steps.flatMap(({ text }) => vmxInstruction.exec(text)?.[1]?.toUpperCase() ?? []);
  return `from one exit for a device to the next entry: ${list(found)}`;
};

const anchor = (seen: Experiment): string => {
  const left = seen.exits.crossings.filter(({ exit }) => exit.length > 0);
  const crossing = settled(seen);
  if (crossing === undefined) return "not seen";
  const values = new Set(left.map(({ stackPointer }) => stackPointer));
  const stack = instructions(crossing.exit)[0]?.stack ?? "nowhere";
  return `RSP arrives in ${stack}, ${values.size === 1 ? "at the same address at every exit" : `at ${values.size} addresses`}`;
};

const stacks = (seen: Experiment): string => {
  const crossing = settled(seen);
  return crossing === undefined
    ? "not seen"
    : turns(instructions(crossing.exit).map(({ stack }) => stack)).join(", then ");
};

const transfer = /^(call|ret|jmp|iret)/;
const wayBack = (seen: Experiment): string => {
  const crossing = settled(seen);
  if (crossing === undefined) return "not seen";
  const back = instructions(crossing.exit);
  const ways = back.filter(({ text }) => transfer.test(text)).map(({ text }) => text);
  const isSame = labelOf(back[0]!) === labelOf(instructions(crossing.entry).at(-1)!);
  const from = isSame ? "behind the entry" : `at ${back[0]!.at}`;
  return `arrives ${from}; ${list(ways)}${crossing.lost.length === 0 ? "" : "; no function returns"}`;
};

const home = (seen: Experiment): string => {
  const crossing = settled(seen);
  if (crossing === undefined) return "not seen";
  const places = saves(crossing).map(({ register, place }) =>
    place!.replace(new RegExp(`\\b${register}\\b`, "i"), "*"),
  );
  const counts = new Map<string, number>();
  for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1);
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return most === undefined ? "nothing is saved" : `${most[0]} (${most[1]} of them)`;
};

const entries = (seen: Experiment): string => {
  const { crossings } = seen.exits;
  const after = (isDevice: boolean): string =>
    list(
      once(
        crossings
          .slice(1)
          .filter((_, n) => (crossings[n]!.atDevice !== undefined) === isDevice)
          .map(entryText),
      ),
    );
  return `first ${crossings[0] === undefined ? "none" : entryText(crossings[0])}; after the kernel's answer ${after(false)}; after a device ${after(true)}`;
};

const cr2 = (seen: Experiment): string => {
  const done = seen.exits.crossings.filter(({ exit }) => exit.length > 0);
  const touches = (steps: readonly SwitchStep[], pattern: RegExp): boolean =>
    instructions(steps).some(({ text }) => pattern.test(text));
  const written = done.filter(({ entry }) => touches(entry, /^mov cr2,/)).length;
  const read = done.filter(({ exit }) => touches(exit, /, cr2$/)).length;
  const isKept = !seen.exits.guestLost.includes("CR2");
  const who =
    written + read > 0
      ? `instructions: ${written} of ${done.length} entries write it, ${read} exits read it`
      : settled(seen)?.arrival?.CR2 === "guest"
        ? `the C part${isKept ? "" : ", wrongly"}`
        : "not touched at these exits";
  return `${who}; afterwards it is the ${settled(seen)?.atDevice?.CR2 ?? "host"}'s`;
};

const saved = (seen: Experiment): string => {
  const crossing = settled(seen);
  return crossing === undefined ? "not seen" : list(names(saves(crossing)));
};
const loaded = (seen: Experiment): string => {
  const crossing = settled(seen);
  return crossing === undefined ? "not seen" : list(names(loads(crossing)));
};

const counts = (seen: Experiment): string => {
  const crossing = settled(seen);
  if (crossing === undefined) return "not seen";
  const [into, out] = [instructions(crossing.entry).length, instructions(crossing.exit).length];
  return `${into} in, ${out} out, ${instructions(crossing.after).length} around; they load ${loads(crossing).length} of the guest's registers and store ${saves(crossing).length}, the processor by itself loads ${byProcessor(crossing.entry.at(-1))} and moves ${byProcessor(crossing.exit[0])}`;
};

const all = ({ exit, after }: Crossing): SwitchStep[] => [...exit, ...after];
/** The crossing during which something came, and what followed it. */
const struck = ({ crossings }: Act): Crossing | undefined => crossings.find(({ exit }) => exit.length > 0);

const interrupt = ({ interrupt: act }: Experiment): string => {
  const crossing = struck(act);
  if (crossing === undefined) return "the guest is not left";
  const steps = all(crossing);
  const at = steps.findIndex((step, n) => n > 0 && step.kind === "processor" && step.event === "interrupt");
  const before = instructions(steps.slice(0, Math.max(at, 0))).at(-1);
  const jump = instructions(crossing.exit).find(({ text }) => /^jmp (e|r)[a-z]{2}$/.test(text));
  const way =
    before !== undefined
      ? `taken through the host's IDT after \`${before.text}\` of ${labelOf(before)}`
      : jump !== undefined
        ? `\`${jump.text}\` of ${labelOf(jump)} goes to the host's handler`
        : "the C part calls the handler";
  return `exit ${reasonOf(crossing)}, ${crossing.isAcknowledged ? "acknowledged by then" : "not acknowledged"}; ${way}; handled ${times(act.served, "time")}; ${goesOn(act)}`;
};

const goesOn = (act: Act): string =>
  act.goesOn ? "the guest goes on" : `the guest does not go on${because(act)}`;
/** The end of a sentence. */
const because = ({ verdict }: Act): string => (verdict === undefined ? "" : `: ${verdict}`);

const nmi = ({ nmi: act }: Experiment): string => {
  const crossing = struck(act);
  if (crossing === undefined) return "the guest is not left";
  const raised = instructions(all(crossing)).find(({ text }) => /^int (0x)?2$/.test(text));
  const labels = once(instructions(crossing.exit).map(labelOf));
  const way =
    act.served === 0
      ? `the host's handler does not run (${list(labels)})`
      : raised !== undefined
        ? `\`${raised.text}\` of ${labelOf(raised)} raises it for the host's handler`
        : "the C part counts it";
  return `exit ${reasonOf(crossing)}; ${way}; ${goesOn(act)}`;
};

const injection = ({ injection: act }: Experiment): string => {
  if (!act.goesOn) return `its handler does not run${because(act)}`;
  const injected = act.crossings.some(({ entry }) =>
    entry.some((step) => step.kind === "processor" && step.says.some((says) => says.startsWith("injects"))),
  );
  const isMoved = act.crossings.some(({ entry }) =>
    entry.at(-1)?.moved.some(({ register, after }) => /^[er]ip$/i.test(register) && after === act.handler),
  );
  if (injected) return "the VM entry injects it (VM-entry interruption information)";
  return isMoved
    ? "the C part builds a frame on the guest's stack and enters at its handler"
    : "the processor delivers it in the guest, without injection";
};

const whose = (what: string, { [what as keyof LazyRegisters]: world }: LazyRegisters): string => `${world}'s`;

const fpu = (seen: Experiment): string => {
  const crossing = settled(seen);
  if (crossing?.arrival === undefined || crossing.atDevice === undefined) return "not seen";
  const used = seen.exits.crossings.flatMap(({ entry, exit, after }) =>
    instructions([...entry, ...exit, ...after]).filter(({ text }) => /^(fx|xsave|xrstor|clts)/.test(text)),
  );
  const texts = once(used.map(({ text }) => text.replace(/ .*/, "")));
  const lost = seen.exits.guestLost.includes("XMM0") ? "; the guest's is lost" : "";
  return `XMM0 is the ${whose("XMM0", crossing.arrival)} at the exit (CR0.TS = ${crossing.arrival.TS ? 1 : 0}), the ${whose("XMM0", crossing.atDevice)} at a device; executed: ${list(texts)}${lost}`;
};

const syscallMsrs = (seen: Experiment): string => {
  const crossing = settled(seen);
  if (crossing?.arrival === undefined || crossing.atDevice === undefined) return "not seen";
  const areas = [...crossing.entry, ...crossing.exit].flatMap(({ moved }) =>
    moved.filter(({ place }) => place?.includes("MSR")).map(({ register }) => register),
  );
  const at = ({ IA32_LSTAR, IA32_KERNEL_GS_BASE }: LazyRegisters): string =>
    `LSTAR ${IA32_LSTAR}'s, KERNEL_GS_BASE ${IA32_KERNEL_GS_BASE}'s`;
  return `at the exit ${at(crossing.arrival)}; at a device ${at(crossing.atDevice)}; MSR areas move ${list(once(areas))}`;
};

const failedEntry = ({ failedEntry: act }: Experiment): string => {
  if (act === undefined) return "its entry has no control that could be wrong";
  const [steps] = act.failedEntries;
  const at = steps?.findIndex((step) => step.kind === "processor" && step.event === "VM entry fails") ?? -1;
  if (steps === undefined || at < 0) return "not seen";
  const failure = steps[at]!;
  const rest = steps.slice(at + 1);
  const end = rest.findIndex(({ kind }) => kind === "C part");
  const labels = turns(instructions(rest.slice(0, end < 0 ? undefined : end)).map(labelOf));
  const says = failure.kind === "processor" ? failure.says[0]!.replace(/;.*/, "") : "";
  return `${says}; ${list(labels)}${because(act)}`;
};

const badGuestState = ({ badGuestState: act }: Experiment): string => {
  const [steps] = act.failedEntries;
  const at = steps?.findIndex((step) => step.kind === "processor" && step.event === "VM entry fails") ?? -1;
  const arrival = at < 0 ? undefined : instructions(steps!.slice(at + 1))[0];
  return (
    `${arrival === undefined ? "" : `arrives at ${arrival.at}`}${because(act).replace(/^: /, arrival === undefined ? "" : ": ")}` ||
    "not seen"
  );
};

const abandoned = (seen: Experiment): string => {
  const act = seen.abandoned;
  const [crossing] = act.crossings;
  if (crossing === undefined) return "not seen";
  const ofEntries = new Set(seen.exits.crossings.flatMap(({ entry }) => instructions(entry).map(labelOf)));
  const labels = once(instructions(crossing.after).map(labelOf));
  const isBegun = labels.some((label) => ofEntries.has(label));
  const way = isBegun
    ? `in its assembly: ${list(labels.slice(labels.findIndex((label) => ofEntries.has(label))))}`
    : "before its assembly";
  return `${way}; ${goesOn(act)}`;
};

const devices = (seen: Experiment): string => {
  const [device, kernel] = [settled(seen), kernelExit(seen)];
  const told = device === undefined ? "no exit reaches a device" : `${reasonOf(device)} goes to the user`;
  return `${told}${kernel === undefined ? "" : `, ${reasonOf(kernel)} is answered in the kernel`}`;
};

const unanswered = ({ unanswered: act }: Experiment): string => {
  const crossing = act.crossings.at(-1);
  return `${crossing === undefined ? "not seen" : reasonOf(crossing)}: ${act.verdict ?? (act.stop === undefined ? "the guest goes on" : act.stop.kind)}`;
};

const kept = (seen: Experiment): string => {
  const done = seen.exits.crossings.filter(({ exit }) => exit.length > 0);
  const host = once(done.flatMap(({ lost }) => lost));
  const changes = Math.max(0, ...done.map(({ stackChanges }) => stackChanges));
  const guest = seen.exits.goesOn
    ? list(seen.exits.guestLost)
    : `all, as ${seen.exits.verdict ?? "it does not come back"}`;
  return `the guest's: ${guest}; the host's: ${list(host)}; bytes of the host's stack: ${changes}`;
};

// biome-ignore format: one row per aspect
export const aspects: readonly Aspect[] = [
  { name: "Guest mode", asks: "what does the processor know of the guest?", tell: guestMode },
  { name: "Paging", asks: "who translates the guest's addresses?", tell: paging },
  { name: "Residency", asks: "what is done about the VMCS between an exit for a device and the next entry?", tell: residency },
  { name: "Anchor", asks: "what leads the host to its data, when every register is the guest's?", tell: anchor },
  { name: "After the exit, the stack is", asks: "where does RSP point, until the C part has control?", tell: stacks },
  { name: "The way back", asks: "where does the host go on, and how does it come to the C part?", tell: wayBack },
  { name: "Home of the guest's registers", asks: "where do they lie while the host runs? (* is the register's name)", tell: home },
  { name: "Saved, in this order", asks: "by instructions after the exit", tell: saved },
  { name: "Loaded, in this order", asks: "by instructions before the entry", tell: loaded },
  { name: "Instructions", asks: "how many are executed, and what is left to the processor?", tell: counts },
  { name: "First and later entries", asks: "which instruction enters the guest?", tell: entries },
  { name: "CR2", asks: "who switches it? VT-x does not", tell: cr2 },
  { name: "Interrupt of the host", asks: "a device of the host's interrupts while the guest runs", tell: interrupt },
  { name: "NMI in the guest", asks: "the same with an NMI", tell: nmi },
  { name: "Interrupt for the guest", asks: "how does it get there?", tell: injection },
  { name: "FPU", asks: "whose registers are in it, and when?", tell: fpu },
  { name: "SYSCALL's MSRs", asks: "the same of those that only SYSCALL and SWAPGS use", tell: syscallMsrs },
  { name: "A control is wrong", asks: "one of the VMCS is cleared before the entry", tell: failedEntry },
  { name: "The guest's state is wrong", asks: "RFLAGS is 0, or a segment register has a selector that there is not", tell: badGuestState },
  { name: "An entry is called off", asks: "the host changes its mind when all is prepared", tell: abandoned },
  { name: "Who answers", asks: "which exits leave the host's kernel?", tell: devices },
  { name: "Nobody answers", asks: "the guest does what has no answer", tell: unanswered },
  { name: "Not kept", asks: "which registers have other values than they should?", tell: kept },
];
