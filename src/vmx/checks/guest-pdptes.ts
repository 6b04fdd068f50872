import { CR0, CR4 } from "../../arch/control-registers.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { bitList, bitsOf, type Check, hex } from "./check.ts";

const usesPdptes = ({ controls, vmcs: { guest } }: EntryFacts): boolean =>
  !controls.ia32eModeGuest && (guest.cr0 & CR0.PG) !== 0n && (guest.cr4 & CR4.PAE) !== 0n;

/** Reserved bits of a PDPTE that is present: 2:1, 8:5 and those beyond the physical-address width. */
const pdpteReserved = (facts: EntryFacts): bigint =>
  0x1e6n | ((1n << 64n) - (1n << BigInt(facts.cpu.physicalAddressBits)));

const pdpteIsValid = (facts: EntryFacts, pdpte: bigint): boolean =>
  (pdpte & 1n) === 0n || (pdpte & pdpteReserved(facts)) === 0n;

const pdptes = "Checks on Guest Page-Directory-Pointer-Table Entries";
export const pageDirectoryPointers: readonly Check[] = ([0, 1, 2, 3] as const).map((n): Check => {
  const inVmcs = bitsOf(`guest.pdpte${n}`);
  const inMemory = (facts: EntryFacts): bigint => {
    const address = (facts.vmcs.guest.cr3 & 0xffff_ffe0n) + BigInt(8 * n);
    return BigInt(facts.read32(address)) | (BigInt(facts.read32(address + 4n)) << 32n);
  };
  return {
    id: `guest-pdpte${n}`,
    sdm: pdptes,
    says: `With PAE paging, reserved bits of PDPTE${n} must be 0 if it is present: of the field if "enable EPT" is 1, else of the entry that CR3 references`,
    reads: [`guest.pdpte${n}`, "guest.cr3", "guest.cr0", "guest.cr4"],
    bits: { "guest.cr0": Number(CR0.PG) | 0, "guest.cr4": Number(CR4.PAE) },
    consults: ["enableEPT", "ia32eModeGuest"],
    holds: (facts) =>
      !usesPdptes(facts) || pdpteIsValid(facts, facts.controls.enableEPT ? inVmcs(facts) : inMemory(facts)),
    hint: (facts) => {
      const value = facts.controls.enableEPT ? inVmcs(facts) : inMemory(facts);
      return `clear ${bitList(value & pdpteReserved(facts))} of ${hex(value)}${facts.controls.enableEPT ? ", in the VMCS: the entries in memory do not count" : ", in memory"}`;
    },
    allowed: (facts) => ({
      field: facts.controls.enableEPT ? `guest.pdpte${n}` : "guest.cr3",
      mustBe1: 0n,
      mustBe0: facts.controls.enableEPT ? pdpteReserved(facts) : 0n,
      from: "reserved bits of a PDPTE and physical-address width (CPUID.80000008H:EAX)",
    }),
    qualification: 2,
  };
});
