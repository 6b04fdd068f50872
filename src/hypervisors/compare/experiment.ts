import type { PcStop } from "../../machine/pc-doors.ts";
import type { SwitchStep } from "../host/switch-trace.ts";
import type { HypervisorName } from "../index.ts";
import type { GuestEnd } from "./guests.ts";
import { lguestSubject } from "./lguest-subject.ts";
import { type Crossing, Recorder } from "./recorder.ts";
import type { Spoiled, Subject } from "./subject.ts";
import { akarosSubject, bhyveSubject, kvmSubject } from "./virtual-subjects.ts";

/** The scenario, act by act: each on a machine of its own, from the same start. */

const subjects: Readonly<Record<HypervisorName, (end: GuestEnd) => Subject>> = {
  bhyve: bhyveSubject,
  kvm: kvmSubject,
  lguest: lguestSubject,
  akaros: akarosSubject,
};

const roundsOf = { device: 1, deviceAgain: 2, kernel: 3 } as const;

/** What an act came to. */
export interface Act {
  /** From where the act itself begins. */
  readonly crossings: readonly Crossing[];
  readonly failedEntries: readonly (readonly SwitchStep[])[];
  /** Did the guest come as far as it should, with what it had in its registers? */
  readonly goesOn: boolean;
  readonly guestLost: readonly string[];
  readonly served: number;
  readonly handled: number;
  readonly handler: bigint;
  readonly verdict: string | undefined;
  readonly stop: PcStop | undefined;
}

export interface Experiment {
  /** Two exits for a device of the user's, and one for the kernel's sake. */
  readonly exits: Act;
  readonly interrupt: Act;
  readonly nmi: Act;
  /** An interrupt for the guest. */
  readonly injection: Act;
  readonly abandoned: Act;
  readonly failedEntry: Act | undefined;
  readonly badGuestState: Act;
  /** A guest that does what nobody answers. */
  readonly unanswered: Act;
  /** Instructions that were left out. */
  readonly leftOut: number;
}

const finished = (recorder: Recorder, from: number, goesOn: boolean, served = 0): Act => {
  const { crossings, failedEntries, subject, handled, stop } = recorder;
  return {
    // What is still going on will be the next act's.
    crossings: crossings.slice(from).map((one) => ({ ...one, exit: [...one.exit], after: [...one.after] })),
    failedEntries, goesOn, guestLost: recorder.lostByGuest(), served, handled,
    handler: subject.guest.handler, verdict: subject.verdict(), stop,
  }; // biome-ignore format: one record
};

/** `leftOut`: instructions to leave out of the host's kernel, those whose text contains this. */
export const experimentOn = (name: HypervisorName, leftOut?: string): Experiment => {
  const begin = (end: GuestEnd = "spins"): Recorder => {
    const recorder = new Recorder(subjects[name](end));
    if (leftOut !== undefined) recorder.subject.leaveOut(leftOut);
    return recorder;
  };
  const first = begin();
  return {
    // These one after the other; the others end their guests.
    exits: exits(first),
    interrupt: disturbed(first, "interrupt"),
    nmi: disturbed(first, "nmi"),
    injection: injection(first),
    abandoned: abandoned(begin()),
    failedEntry: spoiled(begin(), "control"),
    badGuestState: spoiled(begin(), "guest state")!,
    unanswered: unanswered(begin("faults")),
    leftOut: first.subject.leftOut,
  };
};

const exits = (recorder: Recorder): Act => {
  // The registers after the second device exit are as the guest had them; after the third some are answers.
  const goesOn = recorder.until(() => recorder.rounds >= roundsOf.device);
  const lost = recorder.lostByGuest();
  const isThrough = recorder.until(() => recorder.rounds >= roundsOf.kernel);
  return { ...finished(recorder, 0, goesOn && isThrough), guestLost: lost };
};

/** While the guest spins. */
const disturbed = (recorder: Recorder, by: "interrupt" | "nmi"): Act => {
  const { subject } = recorder;
  const served = (): number => (by === "nmi" ? subject.nmisServed() : subject.interruptsServed());
  recorder.spin();
  const from = recorder.crossings.length - 1;
  const before = served();
  subject[by]();
  recorder.spin();
  const goesOn = recorder.stop === undefined && recorder.spins();
  return finished(recorder, Math.max(0, from), goesOn, served() - before);
};

const injection = (recorder: Recorder): Act => {
  const from = recorder.crossings.length - 1;
  recorder.letGo();
  const goesOn = recorder.until(() => recorder.handled > 0);
  return finished(recorder, Math.max(0, from), goesOn);
};

const abandoned = (recorder: Recorder): Act => {
  let from = 0;
  recorder.onFirstDevice = () => {
    from = recorder.crossings.length - 1;
    recorder.subject.abandonNextEntry();
  };
  const goesOn = recorder.until(() => recorder.rounds >= roundsOf.deviceAgain);
  return finished(recorder, from, goesOn);
};

const spoiled = (recorder: Recorder, what: Spoiled): Act | undefined => {
  const { subject } = recorder;
  if (!subject.spoils.includes(what)) return undefined;
  let from = 0;
  recorder.onFirstDevice = () => {
    from = recorder.crossings.length - 1;
    subject.spoilNextEntry(what);
  };
  const goesOn = recorder.until(() => recorder.rounds >= roundsOf.deviceAgain);
  return finished(recorder, from, goesOn);
};

const unanswered = (recorder: Recorder): Act => {
  const goesOn = recorder.until(() => recorder.stop !== undefined);
  return finished(recorder, Math.max(0, recorder.crossings.length - 1), !goesOn);
};
