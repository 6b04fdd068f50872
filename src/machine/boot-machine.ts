import { pciHoleStart } from "../cpu/guest-memory.ts";
import { FW_CFG_PORT, FW_CFG_PORTS } from "../devices/fw-cfg.ts";
import type { AcpiBoard } from "./acpi-board.ts";
import { acpiLoaderFiles } from "./acpi-loader.ts";
import { type AcpiTables, buildAcpiTables } from "./acpi-tables.ts";
import { isaInterrupts, memoryMap, pirqIsaIrqs, ports } from "./board-map.ts";
import { featureControl } from "./board-setup.ts";
import { applyInitialState } from "./boot/initial-state.ts";
import {
  type BootRefusal,
  type BootRequest,
  isRefusal,
  type LoadPlan,
  type LoadSegment,
} from "./boot/load-plan.ts";
import {
  FOUR_GIB,
  MAP_ENTRY_BYTES,
  type MemoryMap,
  type MemoryRange,
  MIB,
  pcMemoryMap,
  writeMapEntry,
} from "./boot/memory-map.ts";
import { type BootChoice, planBoot } from "./boot/plan.ts";
import { Pc } from "./pc.ts";
import type { PcConfiguration, PcOutputs } from "./pc-doors.ts";
import { type SmbiosFacts, smbiosTables } from "./smbios.ts";
import { smbiosFacts, systemTables } from "./system-tables.ts";

/** A board without what only an image decides. */
export type BoardConfiguration = Omit<
  PcConfiguration,
  "romBytes" | "commandLine" | "keptMemory" | "hasFirmware"
>;

/** A board with an image on it, ready to be powered on, and again after each reset. */
export interface BootableMachine {
  readonly configuration: PcConfiguration;
  readonly plan: LoadPlan;
  /** Absent where a firmware ROM is booted, which places them itself. */
  readonly acpi?: AcpiTables;
}

/** ACPI tables lie where a PC's firmware keeps what it tells about itself: in the 64 KiB below the system ROM's. */
const ACPI_WINDOW = { start: 0xe_0000, length: 0x1_0000 } as const;
/** After the root pointer. */
const TABLES_OFFSET = 64;
const PAGE = 4096;
const ECAM_BYTES = 0x1000_0000;

/** What the tables of a board say. */
export const boardFacts = (processors: number): AcpiBoard => ({
  apicIds: Array.from({ length: processors }, (_, index) => index),
  localApic: memoryMap.localApic,
  ioApic: memoryMap.ioApic,
  hpet: memoryMap.hpet,
  ecam: memoryMap.ecam,
  pciMemory: [{ start: memoryMap.barsStart, length: memoryMap.barsEnd - memoryMap.barsStart }],
  pmBase: ports.acpiPm,
  smiCommand: ports.smiCommand,
  interrupts: isaInterrupts,
  serialPorts: [
    { start: ports.com1, irq: isaInterrupts.com1 },
    { start: ports.com2, irq: isaInterrupts.com2 },
  ],
  pirqIsaIrqs,
  fwCfg: { start: FW_CFG_PORT, length: FW_CFG_PORTS },
});

/** The board's ACPI tables, to be placed at `tablesAddress` and their root pointer at `rsdpAddress`. */
export const acpiTablesOf = (processors: number, tablesAddress: number, rsdpAddress: number): AcpiTables =>
  buildAcpiTables(boardFacts(processors), tablesAddress, rsdpAddress);

const placedTables = ({ processors }: BoardConfiguration): AcpiTables =>
  acpiTablesOf(processors, ACPI_WINDOW.start + TABLES_OFFSET, ACPI_WINDOW.start);

/** What software is told about the memory of a board. */
export const boardMemoryMap = (memoryBytes: number, acpi?: AcpiTables): MemoryMap =>
  pcMemoryMap({
    memory: memoryBytes,
    pciHole: pciHoleStart,
    carved: [
      ...(acpi === undefined ? [] : [{ ...ACPI_WINDOW, type: "reserved" } as const]),
      { start: memoryMap.ecam, length: ECAM_BYTES, type: "reserved" },
    ],
    ...(acpi === undefined ? {} : { RSDP: acpi.rsdp }),
  });

/** Puts an image on a board; a sentence where it cannot be booted there. */
export const planMachine = (
  board: BoardConfiguration,
  request: Omit<BootRequest, "memoryMap">,
  choice: BootChoice = {},
): BootableMachine | BootRefusal => {
  const acpi = choice.protocol === "firmware" ? undefined : placedTables(board);
  const plan = planBoot({ ...request, memoryMap: boardMemoryMap(board.memoryBytes, acpi) }, choice);
  if (isRefusal(plan)) return plan;
  const romBytes = plan.roms.reduce((sum, { bytes }) => sum + Math.ceil(bytes.length / PAGE) * PAGE, 0);
  const hasFirmware = plan.protocol === "firmware";
  const configuration = { ...board, romBytes, commandLine: request.commandLine, hasFirmware };
  return { configuration, plan, ...(acpi === undefined ? {} : { acpi }) };
};

/** What a firmware ROM is told through the firmware configuration device: where RAM is, and the ACPI and SMBIOS tables. */
const tellFirmware = (pc: Pc): void => {
  const { memoryBytes, processors } = pc.configuration;
  const low = Math.min(memoryBytes, pciHoleStart);
  const ranges: MemoryRange[] = [
    { start: 0, length: low, type: "RAM" },
    { start: FOUR_GIB, length: memoryBytes - low, type: "RAM" },
  ];
  const present = ranges.filter(({ length }) => length > 0);
  const e820 = new DataView(new ArrayBuffer(MAP_ENTRY_BYTES * present.length));
  present.forEach((range, index) => {
    writeMapEntry(e820, MAP_ENTRY_BYTES * index, range);
  });
  pc.fwCfg.addFile("etc/e820", new Uint8Array(e820.buffer));
  for (const { name, bytes } of acpiLoaderFiles(acpiTablesOf(processors, 0, 0)))
    pc.fwCfg.addFile(name, bytes);
  if (pc.configuration.model.has("VMX"))
    pc.fwCfg.addFile("etc/msr_feature_control", new Uint8Array(new BigUint64Array([featureControl]).buffer));
  const { entry32, structures } = smbiosTables(smbiosFactsOf(pc), 0);
  pc.fwCfg.addFile("etc/smbios/smbios-anchor", entry32);
  pc.fwCfg.addFile("etc/smbios/smbios-tables", structures);
};

/** What SMBIOS says of a machine. The bootstrap processor must be the selected one. */
const smbiosFactsOf = ({ configuration, guest, processors: [bootstrap] }: Pc): SmbiosFacts =>
  smbiosFacts(configuration, guest.lowBytes, bootstrap!);

const CLEARED = new Uint8Array(MIB);

const writeSegment = (pc: Pc, { address, bytes, zeros }: LoadSegment): void => {
  pc.guest.writeBytes(address, bytes);
  const end = address + bytes.length + zeros;
  for (let at = address + bytes.length; at < end; at += CLEARED.length)
    pc.guest.writeBytes(at, CLEARED.subarray(0, Math.min(CLEARED.length, end - at)));
};

/**
 * The machine at the moment its image starts. `before` is the same machine before a reset: its memory is taken over, with
 * what RAM held, and every chip is new.
 */
export const powerOnMachine = (machine: BootableMachine, outputs: PcOutputs, before?: Pc): Pc => {
  const { configuration, plan, acpi } = machine;
  const kept = before === undefined ? {} : { keptMemory: before.guest.memory };
  const pc = new Pc({ ...configuration, ...kept }, outputs);
  if (before !== undefined) pc.tier = before.tier;
  for (const { address, bytes } of plan.roms) {
    if (!pc.guest.addRom(address, bytes)) throw new Error("the room reserved for ROM is too small");
  }
  for (const segment of plan.segments) writeSegment(pc, segment);
  const bootstrap = pc.processors[0]!;
  bootstrap.select();
  if (configuration.hasFirmware) tellFirmware(pc);
  if (acpi !== undefined)
    for (const { address, bytes } of [
      acpi.rsdp,
      acpi.tables,
      ...systemTables(boardFacts(configuration.processors), smbiosFactsOf(pc)),
    ])
      pc.guest.writeBytes(address, bytes);
  applyInitialState(bootstrap.state, plan.cpu);
  bootstrap.invalidate({ kind: "all" });
  return pc;
};
