/** What the client's interpreter can do: the number is the operation's place in its jump table. */
// biome-ignore format: one row per operation
export const operations = [
  "END",     // the scenario is over
  "OK",      // what: a line saying that it holds
  "IOCTL",   // address of descriptor, request, argument, expected result; what
  "OPEN",    // address of descriptor, request, argument, where the new descriptor goes; what
  "COPY",    // to, from, bytes
  "EQUAL",   // address, expected bytes, bytes (a multiple of 8), names of the quadwords or 0; what
  "RUN",     // address of vcpu descriptor, its kvm_run, expected exit reason; what
  "MAP",     // address, address of descriptor or 0 for fresh memory, bytes; what
  "AND",     // address, mask, bytes (a multiple of 8)
  "REPLACE", // address, from, to: a quadword that has one value takes another
  "SPAWN",   // address of vcpu descriptor, its kvm_run: KVM_RUN in a thread of its own
  "JOIN",    // kvm_run, expected exit reason: waits for the thread
  "NEED",    // capability; what: without it the scenario is skipped
  "UNLESS",  // path of a file; what: where it begins with "N", the scenario is skipped
] as const;

export type Operation = (typeof operations)[number];

/** Quadwords of an operation: its number, four operands, address of its text. */
export const OPERATION_QUADWORDS = 6;
