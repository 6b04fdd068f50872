import { SLP_TYP_S5 } from "../devices/acpi-pm.ts";
import { LPC_DEVICE, PIRQ_IO_APIC_INPUT } from "../devices/ich9-lpc.ts";
import { CONFIG_PORT, ECAM_LENGTH, pirqOf } from "../devices/pci.ts";
import type { AcpiBoard } from "./acpi-board.ts";
import {
  type Aml,
  arg,
  busNumbers,
  device,
  dwordField,
  eisaId,
  equal,
  integer,
  ioPorts,
  ioWindow,
  isaIrq,
  levelInterrupt,
  local,
  memory32,
  memory64,
  memoryWindow,
  method,
  name,
  not,
  or,
  otherwise,
  packageOf,
  reference,
  resources,
  returns,
  scope,
  store,
  string,
  uuid,
  when,
} from "./aml.ts";

/** Video memory below 1 MiB: a PCI display adapter may claim it. */
const VGA_MEMORY = { start: 0xa_0000, length: 0x2_0000 };
const HPET_LENGTH = 0x400;

/** The Differentiated System Description: what cannot be found by looking. ACPI Specification 6.4, chapters 5 to 9. */
export const dsdtTerms = (board: AcpiBoard): Aml => [
  // 7.4.2.6 "System \_S5 State": SLP_TYP for PM1a_CNT and PM1b_CNT.
  ...name("\\_S5", packageOf(integer(SLP_TYP_S5), integer(SLP_TYP_S5), integer(0), integer(0))),
  // 5.8.1 "_PIC Method": 0 while the system uses the 8259s, 1 for the I/O APIC.
  ...name("\\PICM", integer(0)),
  ...method("\\_PIC", 1, false, store(arg(0), reference("\\PICM"))),
  ...scope(
    "\\_SB",
    rootBridge(board),
    hpet(board),
    mainboard(board),
    firmwareConfiguration(board),
    virtioMmio(board),
    processors(board),
  ),
];

/** The processors of 8.4 "Declaring Processors", as devices; the MADT has the same _UIDs. */
const processors = (board: AcpiBoard): Aml =>
  board.apicIds.flatMap((_, uid) =>
    device(
      `C${uid.toString(16).toUpperCase().padStart(3, "0")}`,
      name("_HID", string("ACPI0007")),
      name("_UID", integer(uid)),
    ),
  );

const hpet = (board: AcpiBoard): Aml =>
  device(
    "HPET",
    name("_HID", eisaId("PNP0103")),
    name("_UID", integer(0)),
    name("_CRS", resources(memory32(board.hpet, HPET_LENGTH, false))),
  );

/** Resources that no driver claims but nobody else may use; configuration space must be among them to be believed. */
const mainboard = (board: AcpiBoard): Aml =>
  device(
    "MBRD",
    name("_HID", eisaId("PNP0C02")),
    name("_UID", integer(0)),
    name(
      "_CRS",
      resources(
        memory32(board.ecam, ECAM_LENGTH, true),
        ioPorts(board.pmBase, 0x80),
        ioPorts(board.smiCommand, 2),
        ioPorts(0x4d0, 2),
      ),
    ),
  );

/** QEMU's firmware configuration device, where the board has one. */
const firmwareConfiguration = (board: AcpiBoard): Aml =>
  board.fwCfg === undefined
    ? []
    : device(
        "FWCF",
        name("_HID", string("QEMU0002")),
        name("_STA", integer(0xb)),
        name("_CRS", resources(ioPorts(board.fwCfg.start, board.fwCfg.length))),
      );

/** LNRO0005 is Linaro's number for what VIRTIO 1.2 calls "Virtio Over MMIO". */
const virtioMmio = ({ virtioMmio: registers }: AcpiBoard): Aml =>
  registers === undefined
    ? []
    : device(
        "VMIO",
        name("_HID", string("LNRO0005")),
        name("_UID", integer(0)),
        name("_CRS", resources(memory64(registers.start, registers.length), levelInterrupt(registers.input))),
      );

/** A device behind the LPC bridge. */
const isaDevice = (path: string, hid: string, uid: number | undefined, ...descriptors: readonly Aml[]): Aml =>
  device(
    path,
    name("_HID", eisaId(hid)),
    ...(uid === undefined ? [] : [name("_UID", integer(uid))]),
    name("_CRS", resources(...descriptors)),
  );

const rootBridge = (board: AcpiBoard): Aml => {
  const { interrupts } = board;
  const windows = [
    busNumbers(0, 256),
    ioPorts(CONFIG_PORT, 8),
    ioWindow(0, CONFIG_PORT),
    ioWindow(CONFIG_PORT + 8, 0x1_0000 - CONFIG_PORT - 8),
    memoryWindow(VGA_MEMORY.start, VGA_MEMORY.length),
    ...board.pciMemory.map(({ start, length }) => memoryWindow(start, length)),
  ];
  return device(
    "PCI0",
    name("_HID", eisaId("PNP0A08")),
    name("_CID", eisaId("PNP0A03")),
    name("_UID", integer(0)),
    name("_SEG", integer(0)),
    name("_BBN", integer(0)),
    name("_CRS", resources(...windows)),
    operatingSystemCapabilities,
    ...interruptRouting(board),
    device(
      "LPCB",
      name("_ADR", integer(LPC_DEVICE << 16)),
      isaDevice("RTC", "PNP0B00", undefined, ioPorts(0x70, 2), isaIrq(interrupts.rtc)),
      isaDevice("KBD", "PNP0303", undefined, ioPorts(0x60, 1), ioPorts(0x64, 1), isaIrq(interrupts.keyboard)),
      isaDevice("MOU", "PNP0F13", undefined, isaIrq(interrupts.mouse)),
      ...board.serialPorts.map(({ start, irq }, i) =>
        isaDevice(`COM${i + 1}`, "PNP0501", i + 1, ioPorts(start, 8), isaIrq(irq)),
      ),
    ),
  );
};

/**
 * 6.2.13 "_PRT": device n, any function, pin -> a fixed interrupt: an I/O APIC input, or the 8259 input that firmware
 * routed the PIRQ to.
 */
const interruptRouting = (board: AcpiBoard): readonly Aml[] => {
  const table = (interruptOf: (pirq: number) => number): Aml =>
    packageOf(
      ...Array.from({ length: 32 * 4 }, (_, i) => {
        const [slot, pin] = [i >> 2, i & 3];
        const pirq = pirqOf(slot, pin + 1);
        const address = ((slot << 16) | 0xffff) >>> 0;
        return packageOf(integer(address), integer(pin), integer(0), integer(interruptOf(pirq)));
      }),
    );
  const { pirqIsaIrqs } = board;
  const apic = returns(reference("AR00"));
  const body =
    pirqIsaIrqs === undefined ? [apic] : [when(reference("\\PICM"), apic), returns(reference("PR00"))];
  return [
    name(
      "AR00",
      table((pirq) => PIRQ_IO_APIC_INPUT + pirq),
    ),
    ...(pirqIsaIrqs === undefined
      ? []
      : [
          name(
            "PR00",
            table((pirq) => pirqIsaIrqs[pirq]!),
          ),
        ]),
    method("_PRT", 0, false, ...body),
  ];
};

/** 6.2.11 "_OSC" for PCI host bridges: the system may have what it asks for but PCI Express features, of which there are none. */
const operatingSystemCapabilities = method(
  "_OSC",
  4,
  true,
  dwordField(arg(3), 0, "CDW1"),
  when(
    equal(arg(0), uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766")),
    dwordField(arg(3), 8, "CDW3"),
    store(reference("CDW3"), local(0)),
    store(integer(0), reference("CDW3")),
    // Unknown revision.
    when(not(equal(arg(1), integer(1))), or(reference("CDW1"), integer(0x08), reference("CDW1"))),
    // Capabilities masked.
    when(not(equal(local(0), integer(0))), or(reference("CDW1"), integer(0x10), reference("CDW1"))),
  ),
  // Unrecognized UUID.
  otherwise(or(reference("CDW1"), integer(0x04), reference("CDW1"))),
  returns(arg(3)),
);
