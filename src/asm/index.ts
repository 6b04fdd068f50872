/** The assembler: Intel-syntax text to machine code. */
export {
  type AssembledLine,
  type Assembly,
  type AssemblyError,
  type AssemblyErrors,
  type AssemblyOptions,
  assemble,
  machineCode,
} from "./assemble.ts";
