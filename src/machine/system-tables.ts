import type { Core } from "../cpu/core.ts";
import { tscHz } from "../cpu/models.ts";
import type { AcpiBoard } from "./acpi-board.ts";
import { mpTables } from "./mp-tables.ts";
import type { PcConfiguration } from "./pc-doors.ts";
import { pciIrqRoutingTable } from "./pci-irq-routing.ts";
import { type SmbiosFacts, smbiosTables } from "./smbios.ts";

/** Bytes at a physical address. */
export interface PlacedTable {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Where a PC's system ROM has its tables: software looks for their signatures at each multiple of 16 up to 1 MiB. */
const SYSTEM_ROM = 0xf_0000;
const ALIGNMENT = 16;

type Registers = ReturnType<Core["model"]["cpuid"]>;

const textOf = (...registers: readonly number[]): string =>
  registers
    .flatMap((register) => [0, 8, 16, 24].map((shift) => String.fromCharCode((register >>> shift) & 0xff)))
    .join("")
    .replace(/\0.*$/s, "")
    .trim();

/** What CPUID tells about the processor package (SDM Vol. 2, CPUID: leaf 0, leaf 1, "Brand String"). */
const processorFacts = (processor: Core) => {
  const ask = (leaf: number): Registers => processor.model.cpuid(processor, leaf, 0);
  const [highest, identity] = [ask(0), ask(1)];
  const brandLeaves = [0x8000_0002, 0x8000_0003, 0x8000_0004];
  const hasBrand = ask(0x8000_0000).eax >>> 0 >= 0x8000_0004;
  return {
    signature: identity.eax >>> 0,
    features: identity.edx >>> 0,
    vendor: textOf(highest.ebx, highest.edx, highest.ecx),
    brand: hasBrand
      ? textOf(
          ...brandLeaves.flatMap((leaf) => {
            const { eax, ebx, ecx, edx } = ask(leaf);
            return [eax, ebx, ecx, edx];
          }),
        )
      : "",
  };
};

/** A UUID of RFC 9562's version 8, whose contents are the maker's own: machines with equal seeds are equal machines. */
const uuidOf = (seed: bigint): Uint8Array => {
  const uuid = new Uint8Array(16);
  const view = new DataView(uuid.buffer);
  view.setUint32(0, 0x574c_5357); // WLSW
  view.setUint16(6, 0x8000);
  view.setBigUint64(8, BigInt.asUintN(62, seed) | (2n << 62n));
  return uuid;
};

export const smbiosFacts = (
  { memoryBytes, processors, seed }: PcConfiguration,
  lowMemoryBytes: number,
  processor: Core,
): SmbiosFacts => ({
  ...processorFacts(processor),
  memoryBytes,
  lowMemoryBytes,
  processors,
  megahertz: tscHz / 1_000_000,
  uuid: uuidOf(seed),
});

/** What firmware tells beside ACPI, in the system ROM's place: SMBIOS, MultiProcessor and PCI IRQ Routing tables. */
export const systemTables = (board: AcpiBoard, facts: SmbiosFacts): readonly PlacedTable[] => {
  const placed: PlacedTable[] = [];
  let address = SYSTEM_ROM;
  const place = (bytes: Uint8Array): void => {
    placed.push({ address, bytes });
    address += Math.ceil(bytes.length / ALIGNMENT) * ALIGNMENT;
  };
  place(mpTables(board, facts, address));
  place(pciIrqRoutingTable(board));
  const { entry32, entry64, structures } = smbiosTables(facts, address);
  for (const bytes of [structures, entry32, entry64]) place(bytes);
  return placed;
};
