import { closeSync, openSync, writeSync } from "node:fs";
import {
  type ExitRecord,
  type Machine,
  type Paint,
  switchStepJson,
  switchStepText,
  type VmxFailure,
  vmxFailureText,
} from "../api/index.ts";
import { exitTable } from "./exit-table.ts";
import type { RunSettings } from "./run-settings.ts";

/** What --explain, --exits and --exits-log tell about VT-x while a machine runs. */

/** Different failures that are explained, at most. */
const EXPLAIN_LIMIT = 20;
const LOG_BUFFER = 0x1_0000;

/** Tells of each failing VMX instruction once, however often a loop repeats it. */
export const failureReporter = (
  tell: (text: string) => void,
  paint: Paint,
): ((failure: VmxFailure) => void) => {
  const told = new Set<string>();
  return (failure) => {
    const { instruction, kind, number, rip, failures } = failure;
    const key = [instruction, kind, number, rip, ...failures.map(({ check }) => check)].join();
    if (told.has(key) || told.size > EXPLAIN_LIMIT) return;
    told.add(key);
    if (told.size > EXPLAIN_LIMIT)
      tell("worldswitch: further failures of VMX instructions are not explained\n");
    else
      tell(
        `worldswitch: a VMX instruction failed (each failure is told once)\n${vmxFailureText(failure, paint)}`,
      );
  };
};

/** A file that takes one line of JSON per VM exit. */
export class ExitsLog {
  readonly #file: number;
  readonly #name: string;
  #lines = "";
  /** Why nothing more is written. */
  failed: string | undefined;

  private constructor(name: string, file: number) {
    this.#name = name;
    this.#file = file;
  }

  /** One sentence where the file cannot be made. */
  static open(name: string): ExitsLog | string {
    try {
      return new ExitsLog(name, openSync(name, "w"));
    } catch (error) {
      return `${name} cannot be written: ${(error as Error).message}`;
    }
  }

  put(exit: ExitRecord): void {
    if (this.failed !== undefined) return;
    this.#lines += `${JSON.stringify(exit)}\n`;
    if (this.#lines.length > LOG_BUFFER) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    if (this.failed !== undefined) return;
    try {
      for (let rest = Buffer.from(this.#lines); rest.length > 0; )
        rest = rest.subarray(writeSync(this.#file, rest));
    } catch (error) {
      this.failed = `${this.#name} cannot be written any more: ${(error as Error).message}`;
    }
    this.#lines = "";
  }
}

/** Begins to watch what the settings ask for. `finish` tells what there is to tell at the end. */
export const reportVmx = (
  machine: Machine,
  settings: Pick<RunSettings, "explains" | "showsExits" | "switchTrace">,
  log: ExitsLog | undefined,
  tell: (text: string) => void,
  paint: Paint,
): { finish(): void } => {
  if (settings.explains) machine.vmx.on("failure", failureReporter(tell, paint));
  if (log) machine.vmx.on("exit", (exit) => log.put(exit));
  if (settings.showsExits) machine.vmx.watchExits();
  const { switchTrace } = settings;
  if (switchTrace !== undefined)
    machine.traceSwitch((step) =>
      tell(`${switchTrace === "json" ? switchStepJson(step) : switchStepText(step)}\n`),
    );
  return {
    finish: () => {
      log?.close();
      if (log?.failed !== undefined) tell(`worldswitch: ${log.failed}\n`);
      if (settings.showsExits) tell(exitTable(machine.vmx.exits));
    },
  };
};
