import { concatenate, viewOf } from "./bytes.ts";
import { FreeSpace } from "./free-space.ts";
import { flatState, flatTableBytes, identityMapBytes, identityMapLength } from "./initial-state.ts";
import {
  type BootModule,
  type BootRefusal,
  type BootRequest,
  isRefusal,
  type LoadPlan,
  type LoadSegment,
  refuse,
  segmentOf,
} from "./load-plan.ts";
import {
  FOUR_GIB,
  hex,
  MAP_ENTRY_BYTES,
  type MemoryMap,
  MIB,
  mebibytes,
  memorySize,
  writeMapEntry,
} from "./memory-map.ts";

/**
 * The Linux/x86 boot protocol (Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header", "32-bit Boot Protocol",
 * "64-bit Boot Protocol") and its parameter block (Documentation/arch/x86/zero-page.rst).
 */

/** The setup header: offset in the image and in boot_params alike, and size in bytes. */
// biome-ignore format: one row per fact
const header = {
  setup_sects:      { offset: 0x1f1, size: 1 }, syssize:          { offset: 0x1f4, size: 4 },
  boot_flag:        { offset: 0x1fe, size: 2 }, jump:             { offset: 0x200, size: 2 },
  header:           { offset: 0x202, size: 4 }, version:          { offset: 0x206, size: 2 },
  type_of_loader:   { offset: 0x210, size: 1 }, loadflags:        { offset: 0x211, size: 1 },
  code32_start:     { offset: 0x214, size: 4 }, ramdisk_image:    { offset: 0x218, size: 4 },
  ramdisk_size:     { offset: 0x21c, size: 4 }, cmd_line_ptr:     { offset: 0x228, size: 4 },
  initrd_addr_max:  { offset: 0x22c, size: 4 }, kernel_alignment: { offset: 0x230, size: 4 },
  relocatable_kernel: { offset: 0x234, size: 1 }, xloadflags:     { offset: 0x236, size: 2 },
  cmdline_size:     { offset: 0x238, size: 4 }, pref_address:     { offset: 0x258, size: 8 },
  init_size:        { offset: 0x260, size: 4 },
} as const;
type HeaderField = keyof typeof header;

/** Offsets in boot_params outside the header. */
// biome-ignore format: one row per fact
const bootParams = {
  acpi_rsdp_addr: 0x070, alt_mem_k: 0x1e0, e820_entries: 0x1e8, headerEnd: 0x290, e820_table: 0x2d0, bytes: 4096,
} as const;
const E820_MAX_ENTRIES = 128;

const BOOT_FLAG = 0xaa55;
const HDRS = 0x53726448;
/** First version with cmd_line_ptr. */
const OLDEST_VERSION = 0x202;
const LOADED_HIGH = 1 << 0;
const XLF_KERNEL_64 = 1 << 0;
const LOADER_UNDEFINED = 0xff;
const SECTOR = 512;
const PARAGRAPH = 16;
/** Where a kernel older than relocatable ones must lie. */
const HIGH_LOAD_ADDRESS = MIB;
/** Offset of the 64-bit entry point from the start of the protected-mode kernel. */
const ENTRY64 = 0x200;
const BOOT_CS = 0x10;
const BOOT_DS = 0x18;

/** What older headers do not say (boot.rst gives these as the defaults of their versions). */
const DEFAULT_INITRD_ADDR_MAX = 0x37ff_ffff;
const DEFAULT_CMDLINE_SIZE = 255;

const text = new TextEncoder();

/** Whether a file has the two magic numbers of a bzImage. */
export const isBzImage = (bytes: Uint8Array): boolean => {
  if (bytes.length < header.header.offset + header.header.size) return false;
  const view = viewOf(bytes);
  return (
    view.getUint16(header.boot_flag.offset, true) === BOOT_FLAG &&
    view.getUint32(header.header.offset, true) === HDRS
  );
};

const readField = (bytes: Uint8Array, field: HeaderField): number => {
  const { offset, size } = header[field];
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[offset + i] ?? 0);
  return value;
};

const writeField = (bytes: Uint8Array, field: HeaderField, value: number): void => {
  const { offset, size } = header[field];
  for (let i = 0; i < size; i++) bytes[offset + i] = Math.floor(value / 256 ** i) & 0xff;
};

/** What the header of a checked image says, defaults filled in. */
interface Kernel {
  /** The setup header's bytes, from 0x1f1 on. */
  readonly setupHeader: Uint8Array;
  /** The protected-mode kernel. */
  readonly body: Uint8Array;
  readonly is64: boolean;
  /** Where the protected-mode kernel is loaded. */
  readonly address: number;
  /** Bytes from `address` that the kernel uses before it knows the memory map. */
  readonly runtimeLength: number;
  readonly initrdEnd: number;
  readonly cmdline_size: number;
}

/** Checks the image and reads its header. */
const readKernel = ({ image: { name, bytes } }: BootRequest): Kernel | BootRefusal => {
  const found = (field: HeaderField): number => readField(bytes, field);
  const version = found("version");
  const since = (wanted: number): boolean => version >= wanted;
  const dotted = (number: number) => `${number >> 8}.${String(number & 0xff).padStart(2, "0")}`;
  if (version < OLDEST_VERSION)
    return refuse(
      `${name}: Linux boot protocol version is ${dotted(version)}, expected ${dotted(OLDEST_VERSION)} or later`,
    );
  if ((found("loadflags") & LOADED_HIGH) === 0)
    return refuse(`${name}: loadflags bit LOADED_HIGH is 0 (a zImage), expected 1 (a bzImage)`);
  const setupBytes = ((found("setup_sects") || 4) + 1) * SECTOR;
  const bodyBytes = found("syssize") * PARAGRAPH;
  if (setupBytes + bodyBytes > bytes.length)
    return refuse(
      `${name} is truncated: setup_sects and syssize say ${setupBytes + bodyBytes} bytes, the file has ${bytes.length}`,
    );
  if (bodyBytes === 0)
    return refuse(`${name}: syssize is 0, expected the length of the protected-mode kernel`);
  const is64 = since(0x20c) && (found("xloadflags") & XLF_KERNEL_64) !== 0;
  const isRelocatable = since(0x205) && found("relocatable_kernel") !== 0;
  const headerEnd = header.header.offset + (bytes[header.jump.offset + 1] ?? 0);
  return {
    setupHeader: bytes.subarray(header.setup_sects.offset, Math.min(headerEnd, bootParams.headerEnd)),
    body: bytes.subarray(setupBytes, setupBytes + bodyBytes),
    is64,
    address: isRelocatable && since(0x20a) ? found("pref_address") : HIGH_LOAD_ADDRESS,
    runtimeLength: Math.max(bodyBytes, since(0x20a) ? found("init_size") : 0),
    initrdEnd: (since(0x203) ? found("initrd_addr_max") : DEFAULT_INITRD_ADDR_MAX) + 1,
    cmdline_size: since(0x206) ? found("cmdline_size") : DEFAULT_CMDLINE_SIZE,
  };
};

/** The initial RAM disk: all modules one after the other, each padded to 4 bytes as the kernel's unpacker expects. */
const initialRamDisk = (modules: readonly BootModule[]): Uint8Array =>
  concatenate(modules.flatMap(({ bytes }) => [bytes, new Uint8Array(-bytes.length & 3)]));

const bootParamsBytes = (
  kernel: Kernel,
  map: MemoryMap,
  fields: Readonly<Partial<Record<HeaderField, number>>>,
): Uint8Array => {
  const bytes = new Uint8Array(bootParams.bytes);
  const view = new DataView(bytes.buffer);
  bytes.set(kernel.setupHeader, header.setup_sects.offset);
  for (const [field, value] of Object.entries(fields)) writeField(bytes, field as HeaderField, value);
  view.setBigUint64(bootParams.acpi_rsdp_addr, BigInt(map.RSDP?.address ?? 0), true);
  const high = map.ranges.find((range) => range.type === "RAM" && range.start === MIB);
  view.setUint32(bootParams.alt_mem_k, Math.floor((high?.length ?? 0) / 1024), true);
  const ranges = map.ranges.slice(0, E820_MAX_ENTRIES);
  view.setUint8(bootParams.e820_entries, ranges.length);
  ranges.forEach((range, index) => {
    writeMapEntry(view, bootParams.e820_table + index * MAP_ENTRY_BYTES, range);
  });
  return bytes;
};

/**
 * Plans a bzImage: by the 64-bit protocol when the kernel has a 64-bit entry point, else by the 32-bit one. `protocol` insists on one.
 */
export const planLinux = (
  request: BootRequest,
  protocol?: "linux-64" | "linux-32",
): LoadPlan | BootRefusal => {
  const { image, commandLine, modules, memoryMap } = request;
  const kernel = readKernel(request);
  if (isRefusal(kernel)) return kernel;
  if (protocol === "linux-64" && !kernel.is64)
    return refuse(
      `${image.name}: xloadflags bit XLF_KERNEL_64 is 0, expected 1 for the 64-bit boot protocol`,
    );
  const long = kernel.is64 && protocol !== "linux-32";

  const cmdline = text.encode(`${commandLine}\0`);
  if (cmdline.length - 1 > kernel.cmdline_size)
    return refuse(
      `the command line has ${cmdline.length - 1} bytes, but ${image.name} takes at most ${kernel.cmdline_size} (cmdline_size)`,
    );

  const space = new FreeSpace(memoryMap);
  if (!space.isRam(kernel.address, kernel.runtimeLength))
    return refuse(
      `${memorySize(memoryMap)} of memory is too little for ${image.name}: it needs RAM from ${hex(kernel.address)} to ${hex(kernel.address + kernel.runtimeLength)} (pref_address and init_size), so at least ${Math.ceil((kernel.address + kernel.runtimeLength) / MIB)} MiB`,
    );
  space.reserve(kernel.address, kernel.runtimeLength);

  const initrd = initialRamDisk(modules);
  const initrdAddress =
    initrd.length > 0
      ? space.highest(initrd.length, { start: MIB, end: Math.min(kernel.initrdEnd, FOUR_GIB) })
      : 0;
  if (initrdAddress === undefined)
    return refuse(
      `${modules.map((module) => module.name).join(", ")}: an initial RAM disk of ${mebibytes(initrd.length)} does not fit into ${memorySize(memoryMap)} of memory beside ${image.name}`,
    );

  const mode = long ? "long64" : "protected32";
  const gdt = flatTableBytes({ mode, codeSelector: BOOT_CS, dataSelector: BOOT_DS });
  const low = { end: MIB };
  const gdtAddress = space.lowest(gdt.length, low);
  const paramsAddress = space.lowest(bootParams.bytes, low);
  const cmdlineAddress = space.lowest(cmdline.length, low);
  const mapAddress = space.lowest(identityMapLength, low);
  if (
    gdtAddress === undefined ||
    paramsAddress === undefined ||
    cmdlineAddress === undefined ||
    mapAddress === undefined
  )
    return refuse(
      `the memory map offers too little RAM below 1 MiB for the boot parameters of ${image.name}: expected ${mebibytes(bootParams.bytes + cmdline.length + identityMapLength)}`,
    );

  const params = bootParamsBytes(kernel, memoryMap, {
    type_of_loader: LOADER_UNDEFINED,
    code32_start: kernel.address,
    ramdisk_image: initrdAddress,
    ramdisk_size: initrd.length,
    cmd_line_ptr: cmdlineAddress,
  });
  const segments: LoadSegment[] = [
    segmentOf(kernel.address, kernel.body),
    segmentOf(gdtAddress, gdt),
    segmentOf(paramsAddress, params),
    segmentOf(cmdlineAddress, cmdline),
  ];
  if (initrd.length > 0) segments.push(segmentOf(initrdAddress, initrd));
  if (long) segments.push(segmentOf(mapAddress, identityMapBytes(mapAddress)));

  const table = { mode, codeSelector: BOOT_CS, dataSelector: BOOT_DS, address: gdtAddress } as const;
  const RSI = BigInt(paramsAddress);
  return {
    protocol: long ? "linux-64" : "linux-32",
    segments,
    roms: [],
    cpu: long
      ? flatState(table, kernel.address + ENTRY64, { RSI }, mapAddress)
      : flatState(table, kernel.address, { RSI }),
  };
};
