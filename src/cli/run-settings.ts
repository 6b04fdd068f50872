import { type BootOptions, hypervisorNames, type MachineOptions, type Tier } from "../api/index.ts";
import { type Given, isMistake, type Mistake } from "./options.ts";

/** What `worldswitch run` was asked to do, checked. */
export interface RunSettings {
  readonly machine: Omit<MachineOptions, "disks" | "realTime" | "unimplemented">;
  readonly boot: BootOptions;
  readonly disks: readonly { readonly name: string; readonly readOnly: boolean }[];
  /** Undefined: as the terminal suggests. */
  readonly realTime: boolean | undefined;
  readonly console: "serial" | "virtio";
  readonly showsDebugcon: boolean;
  readonly until: string | undefined;
  readonly timeout: number | undefined;
  readonly maxInstructions: number | undefined;
  readonly isQuiet: boolean;
  readonly hasStats: boolean;
  readonly logsUnimplemented: boolean;
  /** Undefined: when standard error is a terminal. */
  readonly explains: boolean | undefined;
  readonly showsExits: boolean;
  readonly exitsLog: string | undefined;
  readonly switchTrace: "text" | "json" | undefined;
}

const bad = (mistake: string): Mistake => ({ mistake });

const memoryUnits: Readonly<Record<string, number>> = {
  "": 1,
  m: 1,
  mib: 1,
  mb: 1,
  g: 1024,
  gib: 1024,
  gb: 1024,
};
const countUnits: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

const amount = (
  name: string,
  text: string,
  units: Readonly<Record<string, number>>,
  expected: string,
): number | Mistake => {
  const [, digits = "", unit = ""] = /^(\d+)([a-z]*)$/i.exec(text) ?? [];
  const factor = units[unit.toLowerCase()];
  const value = Number(digits) * (factor ?? Number.NaN);
  return digits !== "" && Number.isSafeInteger(value) && value > 0
    ? value
    : bad(`--${name} is "${text}", expected ${expected}`);
};

/** A decimal or 0x number. */
const whole = (name: string, text: string, most: number, expected: string): number | Mistake => {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  return Number.isInteger(value) && value <= most
    ? value
    : bad(`--${name} is "${text}", expected ${expected}`);
};

const oneOf = <Word extends string>(name: string, text: string, words: readonly Word[]): Word | Mistake =>
  words.find((word) => word === text) ??
  bad(
    `--${name} is "${text}", expected ${words.length === 1 ? `"${words[0]}"` : `one of ${words.join(", ")}`}`,
  );

const protocols = ["linux-64", "linux-32", "pvh", "multiboot", "multiboot2", "flat"] as const;
const LARGEST_ADDRESS = 0xffff_ffff;
const LARGEST_SEED = 0xffff_ffff_ffff_ffffn;

/** Keeps only the entries that were given. */
const given = <T extends object>(entries: T): { [Key in keyof T]: Exclude<T[Key], undefined> } =>
  Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as never;

/** From the words of the command line to what they ask for; the first mistake, in one sentence. */
export const runSettings = ({ positional, values }: Given): RunSettings | Mistake => {
  let first: Mistake | undefined;
  /** The value of an option; after a mistake its sentence is kept, and what is returned does not matter. */
  const value = <T>(name: string, read: (text: string) => T | Mistake): T | undefined => {
    const text = values.get(name)?.at(-1);
    if (text === undefined) return undefined;
    const outcome = read(text);
    if (typeof outcome === "object" && outcome !== null && isMistake(outcome as object)) {
      first ??= outcome as Mistake;
      return undefined;
    }
    return outcome as T;
  };
  const text = (name: string): string | undefined =>
    value(name, (word) => (word === "" ? bad(`--${name} is empty`) : word));

  const firmware = text("firmware");
  const [image, extra] = positional;
  if (image === undefined && firmware === undefined)
    return bad("no IMAGE is given, expected worldswitch run IMAGE, such as a Linux kernel");
  if (image !== undefined && firmware !== undefined)
    return bad(`both IMAGE "${image}" and --firmware are given, expected one of them`);
  if (extra !== undefined)
    return bad(`"${extra}" comes after IMAGE "${image}", expected one image; options begin with --`);
  if (image === "") return bad("IMAGE is an empty name, expected a file");

  const initrd = (values.get("initrd") ?? []).map((words) => {
    const [name = "", ...args] = words.trim().split(" ");
    return { image: name, args: args.join(" ") };
  });
  if (initrd.some((module) => module.image === "")) return bad("--initrd is empty, expected a file's name");
  const disks = (values.get("disk") ?? []).map((word) => {
    const [, name = "", mode = ""] = /^(.*?)(,ro|,rw)?$/s.exec(word)!;
    return { name, readOnly: mode === ",ro" };
  });
  if (disks.some((disk) => disk.name === "")) return bad("--disk is empty, expected FILE or FILE,ro");

  const debugconPort = value("debugcon", (word) =>
    whole("debugcon", word, 0xffff, "a port number from 0 to 0xffff"),
  );
  const settings: RunSettings = {
    machine: given({
      memoryMiB: value("memory", (word) =>
        amount("memory", word, memoryUnits, "a number of MiB, such as 512 or 2G"),
      ),
      processors: value("cpus", (word) => amount("cpus", word, { "": 1 }, "a number from 1 to 8")),
      model: text("cpu"),
      seed: value("seed", (word) =>
        /^(0x[0-9a-f]+|\d+)$/i.test(word) && BigInt(word) <= LARGEST_SEED
          ? BigInt(word)
          : bad(`--seed is "${word}", expected a number below 2^64`),
      ),
      debugconPort,
      hypervisor: value("hypervisor", (word) => oneOf("hypervisor", word, hypervisorNames)),
      tier: value("tier", (word) =>
        oneOf<Tier | "both">("tier", word, ["jit", "interpreter", "evaluator", "both"]),
      ),
      onReset: values.has("no-reboot") ? ("stop" as const) : undefined,
    }),
    boot: given({
      image,
      firmware,
      initrd,
      commandLine: values.get("append")?.at(-1),
      protocol: value("protocol", (word) => oneOf("protocol", word, protocols)),
      address: value("address", (word) =>
        whole("address", word, LARGEST_ADDRESS, "an address below 4 GiB, such as 0x7c00"),
      ),
      mode: value("mode", (word) => oneOf("mode", word, ["real", "protected32", "long64"] as const)),
      withFileName: values.has("no-file-name") ? false : undefined,
    }),
    disks,
    realTime: values.has("real-time") ? true : undefined,
    console: value("console", (word) => oneOf("console", word, ["serial", "virtio"] as const)) ?? "serial",
    showsDebugcon: debugconPort !== undefined,
    until: text("until"),
    timeout: value("timeout", (word) =>
      /^(\d+\.?\d*|\.\d+)$/.test(word) && Number(word) > 0
        ? Number(word)
        : bad(`--timeout is "${word}", expected a number of seconds above 0`),
    ),
    maxInstructions: value("max-instructions", (word) =>
      amount("max-instructions", word, countUnits, "a number above 0, such as 1000000 or 100M"),
    ),
    isQuiet: values.has("quiet"),
    hasStats: value("stats", (word) => oneOf("stats", word, ["json"])) !== undefined,
    logsUnimplemented: value("log", (word) => oneOf("log", word, ["unimplemented"])) !== undefined,
    explains: values.has("explain") ? true : values.has("no-explain") ? false : undefined,
    showsExits: values.has("exits"),
    exitsLog: text("exits-log"),
    switchTrace: values.has("switch-trace") ? (values.has("json") ? "json" : "text") : undefined,
  };
  const { protocol, address, mode } = settings.boot;
  if (first === undefined && values.has("explain") && values.has("no-explain"))
    return bad("both --explain and --no-explain are given, expected one of them");
  if (first === undefined && values.has("switch-trace") && !values.has("hypervisor"))
    return bad("--switch-trace is given without --hypervisor, expected one whose world switch is told of");
  if (first === undefined && values.has("json") && !values.has("switch-trace"))
    return bad("--json is only for --switch-trace");
  if (first === undefined && protocol !== "flat" && (address !== undefined || mode !== undefined))
    return bad(`--${address === undefined ? "mode" : "address"} is only for --protocol flat`);
  return first ?? settings;
};
