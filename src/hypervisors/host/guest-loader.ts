import type { Core } from "../../cpu/core.ts";
import type { LoadSegment } from "../../machine/boot/load-plan.ts";
import { type BootableMachine, boardFacts } from "../../machine/boot-machine.ts";
import { smbiosFacts, systemTables } from "../../machine/system-tables.ts";
import type { GuestMemoryMap } from "./guest-memory-map.ts";

const cleared = new Uint8Array(0x10_0000);

const write = (memory: GuestMemoryMap, { address, bytes, zeros }: LoadSegment): void => {
  memory.writeBytes(address, bytes);
  const end = address + bytes.length + zeros;
  for (let at = address + bytes.length; at < end; at += cleared.length)
    memory.writeBytes(at, cleared.subarray(0, Math.min(cleared.length, end - at)));
};

/**
 * Put an image into a guest's memory, and the tables that tell about its board. `processor` answers CPUID for SMBIOS. What remains is
 * the state of the first virtual processor: `plan.cpu`.
 */
export const loadGuest = (
  memory: GuestMemoryMap,
  { plan, acpi, configuration }: BootableMachine,
  processor: Core,
): void => {
  for (const segment of plan.segments) write(memory, segment);
  if (acpi === undefined) return;
  const facts = smbiosFacts(configuration, memory.lowBytes, processor);
  const tables = systemTables(boardFacts(configuration.processors), facts);
  for (const { address, bytes } of [acpi.rsdp, acpi.tables, ...tables]) memory.writeBytes(address, bytes);
};
