import { type ExplainedDump, explainDump } from "../debug/explain/explain-dump.ts";
import {
  type JudgedProcessor,
  processorOfModel,
  processorOfMsrs,
  recentProcessor,
} from "../debug/explain/judged-processor.ts";
import { readCapabilities } from "../debug/explain/read-capabilities.ts";
import { modelOf } from "./configuration.ts";
import type { Refusal } from "./files.ts";

/** Text, or a file's bytes with a name for messages. */
export type DumpSource = string | Uint8Array | { readonly name: string; readonly bytes: Uint8Array };

/** The processor to judge for; default: a recent one, which allows all that the SDM defines. */
export interface ExplainOptions {
  /** Values of its VMX capability MSRs, as `rdmsr` prints them or as NAME = VALUE. */
  readonly capabilities?: DumpSource;
  /** Or a CPU model of ours, as of `Machine.create`. */
  readonly model?: string;
}

const fileOf = (source: DumpSource, name: string): { readonly name: string; readonly bytes: Uint8Array } => {
  if (typeof source === "string") return { name, bytes: new TextEncoder().encode(source) };
  return source instanceof Uint8Array ? { name, bytes: source } : source;
};

const processorOf = ({ capabilities, model }: ExplainOptions): JudgedProcessor | Refusal => {
  if (capabilities !== undefined) {
    const { name, bytes } = fileOf(capabilities, "the capabilities");
    const read = readCapabilities(bytes);
    return "refusal" in read ? { message: `${name}: ${read.refusal}` } : processorOfMsrs(name, read);
  }
  if (model === undefined) return recentProcessor;
  const found = modelOf(model, 1);
  return found.has("VMX")
    ? processorOfModel(found)
    : { message: `the CPU model "${model}" has no VMX, expected one that has` };
};

/**
 * The checks of VM entry on a pasted VMCS: a dump of Linux KVM or Xen, or lines of names and values. Says of each VMCS in it which
 * checks do not hold, and which cannot be made since the dump lacks something; or why the text cannot be read.
 */
export const explainVmcs = (dump: DumpSource, options: ExplainOptions = {}): ExplainedDump | Refusal => {
  const processor = processorOf(options);
  if ("message" in processor) return processor;
  const { name, bytes } = fileOf(dump, "the dump");
  const explained = explainDump(bytes, processor);
  return "refusal" in explained ? { message: `${name}: ${explained.refusal}` } : explained;
};
