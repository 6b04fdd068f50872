import { type HypervisorName, hypervisorNames } from "../index.ts";
import { aspects } from "./aspects.ts";
import { experimentOn } from "./experiment.ts";

export interface CompareOptions {
  /** Default: all. */
  readonly hypervisors?: readonly HypervisorName[];
  /** An experiment: instructions of one host's kernel, those whose disassembly contains `text`, are left out. */
  readonly leaveOut?: { readonly hypervisor: HypervisorName; readonly text: string };
  /** Told before each hypervisor has its turn. */
  readonly progress?: (hypervisor: HypervisorName) => void;
}

/** One aspect of a world switch, as each hypervisor was seen to have it. */
export interface ComparisonRow {
  readonly aspect: string;
  /** What the aspect is about. */
  readonly asks: string;
  readonly seen: Readonly<Partial<Record<HypervisorName, string>>>;
}

export interface Comparison {
  readonly hypervisors: readonly HypervisorName[];
  readonly rows: readonly ComparisonRow[];
  /** How many instructions were left out. */
  readonly leftOut: number;
}

/** Run one scenario under each hypervisor and say what was seen, aspect by aspect. Nothing of it is written down beforehand. */
export const compareHypervisors = (options: CompareOptions = {}): Comparison => {
  const { hypervisors = hypervisorNames, leaveOut, progress } = options;
  const seen = new Map(
    hypervisors.map((name) => {
      progress?.(name);
      return [name, experimentOn(name, leaveOut?.hypervisor === name ? leaveOut.text : undefined)] as const;
    }),
  );
  const rows = aspects.map(({ name: aspect, asks, tell }) => ({
    aspect,
    asks,
    seen: Object.fromEntries([...seen].map(([name, experiment]) => [name, tell(experiment)])),
  }));
  const leftOut = Math.max(0, ...[...seen.values()].map((experiment) => experiment.leftOut));
  return { hypervisors, rows, leftOut };
};
