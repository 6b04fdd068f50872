import { assemble } from "../../../asm/index.ts";
import { elfFile } from "../image.ts";
import { kernelBss, kernelOffset, kernelPhysical, kernelSource } from "./kernel-source.ts";
import { programsSource } from "./programs-source.ts";

/** A guest for lguest: a small kernel of our own that knows it is one. The image, as an ELF file. */
export const paravirtualKernel = (): Uint8Array => {
  const origin = kernelOffset + kernelPhysical;
  const assembly = assemble(kernelSource + programsSource + kernelBss, { codeSize: 32, origin });
  if (assembly.kind === "errors")
    throw new Error(assembly.errors.map(({ line, message }) => `${line}: ${message}`).join("\n"));
  const at = (label: string): number => Number(assembly.symbols.get(label));
  return elfFile(assembly.bytes, origin, kernelPhysical, at("end") - origin, at("bare"));
};
