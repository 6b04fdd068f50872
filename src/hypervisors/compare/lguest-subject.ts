import { decode, MAXIMUM_LENGTH } from "../../isa/decode.ts";
import { disassemble } from "../../isa/disassemble.ts";
import { isRefusal } from "../../machine/boot/load-plan.ts";
import { stackBytes } from "../host32/host.ts";
import { request } from "../lguest/device-file.ts";
import { switcherBase } from "../lguest/layout.ts";
import { LguestMachine } from "../lguest/lguest-machine.ts";
import { type GuestEnd, type GuestImage, paravirtualAddress, paravirtualGuest } from "./guests.ts";
import { bootable, hostVector, type Wires, wiresOf } from "./stage.ts";
import type { Subject } from "./subject.ts";

/** lguest as a subject. */

const NMI = 2;
const NOP = 0x90;
/** No descriptor has it. */
const badSelector = 0x7f3;

class LguestSubject implements Subject {
  readonly machine: LguestMachine;
  readonly guest: GuestImage;
  readonly keptByFunctions = ["RBP", "RSI", "RDI"] as const;
  readonly wordBits = 32;
  readonly spoils = ["guest state"] as const;
  onStep: Subject["onStep"];
  onDevice: Subject["onDevice"];
  readonly #wires: Wires;
  #spoilsNext = false;
  leftOut = 0;
  #leavesOut: string | undefined;

  constructor(end: GuestEnd) {
    this.guest = paravirtualGuest(end);
    const wires = wiresOf();
    this.#wires = wires;
    const { physical } = paravirtualAddress;
    const image = bootable(this.guest.bytes, { protocol: "flat", mode: "protected32", address: physical });
    const machine = LguestMachine.create(image, wires.outputs);
    if (isRefusal(machine)) throw new Error(machine.message);
    this.machine = machine;
    wires.device = () => this.onDevice?.();
    machine.traceSwitch((step) => this.onStep?.(step));
    const { host } = machine.launcher;
    host.onVector(hostVector, () => {});
    const trace = host.run!;
    host.run = (processor, budget) => {
      this.#look();
      return trace(processor, budget);
    };
  }

  get #host() {
    return this.machine.launcher.host;
  }
  get state() {
    return this.#host.state;
  }

  #look(): void {
    if ((this.state["CS.selector"] & 3) !== 0) return;
    const { memory } = this.#host;
    const { switcher } = this.machine.launcher.module;
    const rip = this.state.low32("RIP");
    const isSwitcher = rip >= switcherBase && rip < switcher.end;
    if (!isSwitcher && !this.#host.code.some(({ start, end }) => rip >= start && rip < end)) return;
    const at = isSwitcher ? switcher.text + rip - switcherBase : this.#host.physical(rip);
    const bytes = memory.read(at, MAXIMUM_LENGTH);
    const decoded = decode(
      bytes,
      0,
      bytes.length,
      { codeSize: 32, stackSize: 32, realLike: false },
      () => true,
    );
    if (!("row" in decoded)) return;
    const text = disassemble(decoded, BigInt(rip));
    if (this.#leavesOut !== undefined && text.includes(this.#leavesOut)) {
      memory.write(at, new Uint8Array(decoded.length).fill(NOP));
      this.leftOut++;
    }
    if (!this.#spoilsNext || rip !== switcher.symbols.get("switch_to_guest")) return;
    this.#spoilsNext = false;
    this.#guest.set("ds", badSelector);
  }

  get #guest() {
    return this.machine.launcher.file.guest!;
  }

  interrupt(): void {
    this.#host.cpus[0]!.apic.sendInterrupt(0, hostVector);
  }
  interruptsServed(): number {
    return this.#host.served[hostVector]!;
  }
  nmi(): void {
    this.#host.cpus[0]!.apic.sendNmi(0);
  }
  nmisServed(): number {
    return this.#host.served[NMI]!;
  }
  abandonNextEntry(): void {
    this.machine.launcher.file.write({}, [request.BREAK, 1]);
  }
  spoilNextEntry(): void {
    this.#spoilsNext = true;
  }
  leaveOut(text: string): void {
    this.#leavesOut = text;
  }

  translation() {
    const { paging } = this.#guest;
    return {
      inUse: BigInt(paging.root),
      guestsOwn: BigInt(paging.guestRoot),
      hosts: BigInt(this.#host.directory),
      nested: undefined,
    };
  }

  isAcknowledged(): boolean {
    return this.#host.cpus[0]!.apic.isInService(hostVector);
  }

  hostStack(): Uint8Array {
    const { stackTop } = this.#host.cpu;
    const esp = this.state.low32("RSP");
    if (esp > stackTop || esp <= stackTop - stackBytes) return new Uint8Array();
    return this.#host.memory.read(this.#host.physical(esp), stackTop - esp);
  }

  verdict(): string | undefined {
    return /lguest: (.*)\r\n/.exec(this.#wires.text)?.[1];
  }
}

export const lguestSubject = (end: GuestEnd): Subject => new LguestSubject(end);
