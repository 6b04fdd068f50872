import { Fault } from "../../src/cpu/core.ts";
import { FakeCore, longMode, pml4 } from "../../src/cpu/fake-core.fixture.ts";
import { procedures } from "../../src/cpu/procedures.ts";
import type { Instruction } from "../../src/isa/instruction.ts";
import { type Case, MEMORY_BYTES, outcomeText, places, STATUS_FLAGS, type State } from "./cases.ts";

/** Runs cases on the procedures of src/cpu. */

const pageTable = pml4 + 0x4000;
const present = 1n;
const writable = 2n;

/** 64-bit mode with 4-KByte pages, one of them read-only. */
const machine = (): FakeCore => {
  const core = longMode(new FakeCore("default", { plus: ["FDP_EXCPTN_ONLY", "FCS_FDS_DEPRECATED"] }));
  core.write64(pml4 + 0x2000, BigInt(pageTable) | present | writable);
  for (let page = 0; page < 512; page++)
    core.write64(pageTable + 8 * page, BigInt(page * 4096) | present | writable);
  core.write64(pageTable + (places.readOnly >> 12) * 8, BigInt(places.memory) | present);
  core.state.RIP = BigInt(places.code);
  return core;
};

const faultNames: Readonly<Record<number, string>> = { 6: "UD", 13: "SEGV", 14: "SEGV", 16: "MF" };

export class Replay {
  readonly #core = machine();
  readonly #decoded = new Map<string, Instruction>();

  #instruction(code: Uint8Array): Instruction {
    const key = Buffer.from(code).toString("hex");
    let instruction = this.#decoded.get(key);
    if (instruction === undefined) {
      instruction = this.#core.decode(key);
      this.#decoded.set(key, instruction);
    }
    return instruction;
  }

  #load({ code, address, before }: Case): void {
    const { state, memory } = this.#core;
    const bytes = new Uint8Array(memory.buffer);
    bytes.set(code, places.code);
    bytes.set(before.memory, places.memory);
    state.RIP = BigInt(places.code);
    state.RAX = before.RAX;
    state.RBX = BigInt(address);
    state.RFLAGS = before.RFLAGS | 2n;
    state.FCW = before.FCW;
    state.FSW = before.FSW;
    state.FOP = before.FOP;
    state.FIP = before.FIP;
    state.FDP = before.FDP;
    state.FTW = 0;
    for (let n = 0; n < 8; n++) {
      if (!(before.inUse & (1 << n))) state.FTW |= 3 << (2 * n);
      const register = new DataView(state.buffer, state.bytes(`x87.${n}`).byteOffset);
      register.setBigUint64(0, BigInt.asUintN(64, before.registers[n]!), true);
      register.setUint16(8, Number(before.registers[n]! >> 64n), true);
    }
  }

  #read(): State {
    const { state, memory } = this.#core;
    let inUse = 0;
    for (let n = 0; n < 8; n++) if (((state.FTW >> (2 * n)) & 3) !== 3) inUse |= 1 << n;
    const registers = Array.from({ length: 8 }, (_, n) => {
      const register = new DataView(state.buffer, state.bytes(`x87.${n}`).byteOffset);
      return (BigInt(register.getUint16(8, true)) << 64n) | register.getBigUint64(0, true);
    });
    const { FCW, FSW, FOP, FIP, FDP, RAX } = state;
    const bytes = new Uint8Array(memory.buffer, places.memory, MEMORY_BYTES).slice();
    return {
      FCW,
      FSW,
      inUse,
      FOP,
      FIP,
      FDP,
      registers,
      RAX,
      RFLAGS: state.RFLAGS & STATUS_FLAGS,
      memory: bytes,
    };
  }

  /** The outcome of a case, as text. */
  run(one: Case): string {
    this.#load(one);
    const instruction = this.#instruction(one.code);
    const { mnemonic } = instruction.row.semantics;
    const outcome = procedures.get(mnemonic)!(this.#core, instruction);
    const fault = outcome instanceof Fault ? (faultNames[outcome.vector] ?? `${outcome.vector}`) : undefined;
    return outcomeText(one, this.#read(), fault);
  }
}
