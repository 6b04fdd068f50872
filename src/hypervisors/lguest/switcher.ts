import { CR4 } from "../../arch/control-registers.ts";
import { systemType, TSS32 } from "../../arch/descriptors.ts";
import { entry } from "../../arch/paging-entries.ts";
import {
  flatCode,
  flatData,
  gate,
  type Host,
  type HostCpu,
  machineCodeOf,
  tssDescriptor,
} from "../host32/host.ts";
import { gdtBytes, idtBytes } from "../host32/linux-gdt.ts";
import { gdtEntry, guestRing, hypercallVector, selector } from "./abi.ts";
import { guestTss, pagesBytes, regs, state, switcherBase, switcherDirectoryIndex } from "./layout.ts";
import type { Quirks } from "./quirks.ts";
import { switcherSource } from "./switcher-source.ts";

/**
 * What `runOnce` does about the FPU: sets CR0.TS before the guest runs, clears it afterwards, loads the guest's registers when it
 * has trapped for them.
 */
export const taskSwitched = { set: 1, clear: 2, restore: 4 } as const;
const IA32_SYSENTER_CS = 0x174;
const [NM, PF] = [7, 14];

/**
 * The host's side of a world switch. EAX and EBX as the Switcher wants them, ECX = taskSwitched, EDX = linear address at which the
 * host sees the guest's registers. Returns with what the guest trapped for in them, and interrupts on.
 */
const hostSide = (variables: number): string => `
        bits 32
entryPoint      equ ${variables}
faultAddress    equ ${variables + 8}
fpuArea         equ ${variables + 12}
runOnce:
        push ebx
        push esi
        push edi
        push ebp
        mov ebp, edx                    ; the one register that comes back
        push ecx
        cli
        test cl, ${taskSwitched.set}
        jz .calm
        mov edx, cr0
        test dl, 8
        jnz .calm
        or edx, 8
        mov cr0, edx
.calm:  push eax
        mov ecx, ${IA32_SYSENTER_CS}    ; the guest's programs must not come into the host by SYSENTER
        xor eax, eax
        xor edx, edx
        wrmsr
        pop eax
        pushfd                          ; with the far call, the frame of an interrupt
        call far [entryPoint]
.back:
        cmp dword [ebp + ${regs.trapnum}], ${PF}
        jne .notFault
        mov eax, cr2                    ; before an interrupt's handler faults itself
        mov [faultAddress], eax
.notFault:
        cmp dword [ebp + ${regs.trapnum}], ${NM}
        jne .noFpu
        clts
        test byte [esp], ${taskSwitched.restore}
        jz .noFpu
        mov eax, [fpuArea]
        fxrstor [eax]
.noFpu: mov ecx, ${IA32_SYSENTER_CS}
        mov eax, ${selector.KERNEL_CS}
        xor edx, edx
        wrmsr
        pop ecx
        test cl, ${taskSwitched.clear}
        jz .done
        clts
.done:  sti
        pop ebp
        pop edi
        pop esi
        pop ebx
        ret
`;

/** The two pages of one processor, and the page table through which guests see the window there. */
export interface SwitcherPages {
  /** Linear, in host and guest. */
  readonly linear: number;
  /** Physical address of struct lguest_ro_state's page, minus 4096: offsets of `state` count from here. */
  readonly statePhysical: number;
  /** Physical. */
  readonly guestTable: number;
}

/** The code at the top of every address space, and each processor's two pages beside it. */
export class Switcher {
  readonly host: Host;
  readonly cpus: readonly SwitcherPages[];
  /** Linear address of a label of the Switcher's text. */
  readonly symbols: ReadonlyMap<string, number>;
  readonly end: number;
  /** Machine-physical address of the text. */
  readonly text: number;
  readonly runOnce: number;
  /** Gates of vectors that no guest takes directly: low and high word of each. */
  readonly defaultGates: readonly (readonly [number, number])[];
  readonly #variables: number;

  constructor(host: Host, quirks: Quirks) {
    this.host = host;
    const { memory } = host;
    const { bytes, symbols } = machineCodeOf(switcherSource(quirks), 0);
    const textBytes = Math.ceil(bytes.length / 4096) * 4096;
    const text = memory.allocate(textBytes);
    memory.write(text, bytes);
    this.text = text;
    this.symbols = new Map([...symbols].map(([name, value]) => [name, switcherBase + value]));
    this.end = switcherBase + bytes.length;
    host.code.push({ name: "Switcher", start: switcherBase, end: this.end, symbols: this.symbols });
    const entries = text + symbols.get("default_idt_entries")!;
    for (let n = 0; n < 256; n++)
      memory.write32(entries + 4 * n, memory.read32(entries + 4 * n) + switcherBase);
    this.defaultGates = Array.from({ length: 256 }, (_, n) =>
      gate(
        selector.LGUEST_CS,
        memory.read32(entries + 4 * n),
        systemType.interruptGate32,
        n === hypercallVector ? guestRing : 0,
      ),
    );
    const hostTable = memory.allocate(4096);
    const { P, RW, A, D } = entry;
    memory.write32(host.directory + 4 * switcherDirectoryIndex, hostTable | P | RW | A);
    const textTable = (table: number): void => {
      for (let at = 0; at < textBytes; at += 4096) memory.write32(table + (at >>> 10), (text + at) | P | A);
    };
    textTable(hostTable);
    this.cpus = host.cpus.map((cpu) => {
      const linear = switcherBase + textBytes + cpu.index * pagesBytes;
      const [plain, statePage, guestTable] = [
        memory.allocate(4096),
        memory.allocate(4096),
        memory.allocate(4096),
      ];
      const slot = (linear - switcherBase) >>> 10;
      memory.write32(hostTable + slot, plain | P | RW | A | D);
      memory.write32(hostTable + slot + 4, statePage | P | RW | A | D);
      textTable(guestTable);
      memory.write32(guestTable + slot + 4, statePage | P | A);
      const pages = { linear, statePhysical: statePage - 4096, guestTable };
      this.#fill(cpu, pages);
      return pages;
    });
    this.#variables = memory.allocate(4096);
    const linear = memory.write32.bind(memory);
    linear(this.#variables, this.symbols.get("switch_to_guest")!);
    linear(this.#variables + 4, selector.LGUEST_CS);
    this.runOnce = host.place("host side", hostSide(host.linear(this.#variables))).get("runOnce")!;
    this.#loadModule();
  }

  /** What stays the same in a processor's second page. */
  #fill(cpu: HostCpu, { linear, statePhysical }: SwitcherPages): void {
    const put = (offset: number, value: number): void =>
      this.host.memory.write32(statePhysical + offset, value);
    const table = (offset: number, base: number, bytes: number): void => {
      put(offset, ((base << 16) | (bytes - 1)) >>> 0);
      put(offset + 4, base >>> 16);
    };
    table(state.host_idt_desc, this.host.IDT, idtBytes);
    table(state.host_gdt_desc, cpu.GDT, gdtBytes);
    table(state.guest_idt_desc, linear + state.guest_idt, idtBytes);
    table(state.guest_gdt_desc, linear + state.guest_gdt, gdtBytes);
    put(state.host_stack + 4, selector.KERNEL_DS);
    put(state.guest_tss + TSS32.ESP0, linear + 4096);
    put(state.guest_tss + TSS32.SS0, selector.LGUEST_DS);
    put(state.guest_tss + TSS32.ioMapBase - 2, TSS32.bytes << 16);
    this.defaultGates.forEach(([low, high], n) => {
      put(state.guest_idt + 8 * n, low);
      put(state.guest_idt + 8 * n + 4, high);
    });
    const segment = (number: number, descriptor: bigint): void =>
      this.host.memory.write64(statePhysical + state.guest_gdt + 8 * number, descriptor);
    segment(gdtEntry.LGUEST_CS, flatCode(0));
    segment(gdtEntry.LGUEST_DS, flatData(0));
    segment(gdtEntry.TSS, tssDescriptor(linear + state.guest_tss));
  }

  /** On every processor: the Switcher's segments, and no global pages, whose translations would outlive the change of CR3. */
  #loadModule(): void {
    for (const cpu of this.host.cpus) {
      this.host.select(cpu);
      this.host.state.CR4 &= ~CR4.PGE;
      cpu.processor.invalidate({ kind: "all" });
      const GDT = this.host.physical(cpu.GDT);
      this.host.memory.write64(GDT + selector.LGUEST_CS, flatCode(0));
      this.host.memory.write64(GDT + selector.LGUEST_DS, flatData(0));
    }
    this.host.select(this.host.cpus[0]!);
  }

  /** CR4.PGE is as it was; nothing may run a guest any more. */
  unload(): void {
    for (const cpu of this.host.cpus) {
      this.host.select(cpu);
      this.host.state.CR4 |= CR4.PGE;
    }
  }

  /** CR2 at the guest's last page fault. */
  get faultAddress(): number {
    return this.host.memory.read32(this.#variables + 8);
  }
  /** Linear address of the FPU image that a guest gets when it first uses the FPU. */
  set fpuArea(linear: number) {
    this.host.memory.write32(this.#variables + 12, linear);
  }

  /** The stack that the processor itself will use for traps from ring 3 to ring 1. */
  setKernelStack(pages: SwitcherPages, esp1: number, ss1: number): void {
    this.host.memory.write32(pages.statePhysical + guestTss.esp1, esp1);
    this.host.memory.write32(pages.statePhysical + guestTss.ss1, ss1);
  }

  /** Let guests see these registers as the first of a processor's pages. */
  mapRegisters({ guestTable, linear }: SwitcherPages, frame: number): void {
    this.host.memory.write32(
      guestTable + ((linear - switcherBase) >>> 10),
      frame | entry.P | entry.RW | entry.A | entry.D,
    );
  }
}
