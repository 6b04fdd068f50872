import { type VmcsFieldName, vmcsFields } from "../arch/vmcs-fields.ts";
import { type Kernel, kernelWith, type VmxCase } from "./vmx-kernel.ts";
import { vmxMemory } from "./vmx-memory.ts";

/**
 * The VMX test kernel with VMCSs that it makes up itself: a valid one, some of whose fields are changed by a generator
 * with a seed (xorshift64*), entered once. A verdict of one line per seed; the same on every machine.
 */

const MIXED = [
  "useTPRShadow",
  "virtualizeAPICAccesses",
  "useMSRBitmaps",
  "useIOBitmaps",
  "enableVPID",
] as const;

/** The valid VMCSs to begin with. */
// biome-ignore format: one row per case
export const randomBases: readonly VmxCase[] = [
  { name: "64-bit" },
  { name: "64-bit with EPT", on: ["enableEPT", "enableVPID"] },
  { name: "64-bit at CPL 3", mode: "64-bit user" },
  { name: "compatibility mode", mode: "compatibility" },
  { name: "32-bit paging", mode: "32-bit" },
  { name: "PAE paging with EPT", mode: "PAE", on: ["enableEPT"] },
  { name: "real-address mode", mode: "real" },
  { name: "virtual-8086 mode", mode: "virtual-8086" },
  { name: "no paging", mode: "unpaged" },
  { name: "32-bit at CPL 3", mode: "32-bit user" },
  { name: "an external interrupt injected", set: { "control.entryInterruptionInformation": 0x8000_0050, "guest.rflags": 0x202 } },
  { name: "an NMI injected", on: ["nmiExiting", "virtualNMIs"], set: { "control.entryInterruptionInformation": 0x8000_0202 } },
  { name: "an exception injected", set: { "control.entryInterruptionInformation": 0x8000_0b0d } },
  { name: "many controls", on: MIXED, set: { "control.tprThreshold": 0 } },
  { name: "an LDT and MSR areas", set: {
    "guest.ldtr.selector": 0x70, "guest.ldtr.base": vmxMemory.guestTables + 0x800, "guest.ldtr.limit": 0x1f, "guest.ldtr.access": 0x82,
    "control.entryMsrLoadCount": 1, "control.exitMsrStoreCount": 1, "control.exitMsrLoadCount": 1 } },
  { name: "halted", set: { "guest.activity": 1, "guest.rflags": 0x202 } },
];
/** Three valid entries in each MSR area. */
const msrAreas: Readonly<Record<number, number>> = Object.fromEntries(
  [vmxMemory.entryMsrLoad, vmxMemory.exitMsrStore, vmxMemory.exitMsrLoad].flatMap((area) =>
    [0xc000_0102, 0xc000_0103, 0xc000_0082].map((msr, i) => [area + 16 * i, msr]),
  ),
);

const ADDRESS = 0xffff_ff00_0000_0fffn;
const NEARBY = 0xffff_ffff_0000_0fffn;
const NOT_CANONICAL = 0x7fff_8000_0000_0000n;
/**
 * Bits that may change where two machines are to agree: what would take the host's ground away, or read memory that the two
 * do not have in common, stays as it is.
 */
const changeable: Partial<Record<VmcsFieldName, bigint>> = {
  "host.rip": NOT_CANONICAL,
  "host.rsp": 0n,
  "host.cr3": 0xffff_ff00_0000_0000n,
  "host.gdtr.base": NOT_CANONICAL,
  "host.idtr.base": NOT_CANONICAL,
  "control.exitMsrStoreCount": 3n,
  "control.exitMsrLoadCount": 3n,
  "control.entryMsrLoadCount": 3n,
  "control.exitMsrStoreAddress": 0xffff_ff00_0000_000fn,
  "control.exitMsrLoadAddress": 0xffff_ff00_0000_000fn,
  "control.entryMsrLoadAddress": 0xffff_ff00_0000_000fn,
  "control.eptPointer": ADDRESS,
  "control.ioBitmapA": ADDRESS,
  "control.ioBitmapB": ADDRESS,
  "control.msrBitmaps": ADDRESS,
  "control.virtualApicAddress": ADDRESS,
  "control.apicAccessAddress": ADDRESS,
  "control.postedInterruptDescriptorAddress": ADDRESS,
  "control.pmlAddress": ADDRESS,
  "control.eptpListAddress": ADDRESS,
  "control.vmreadBitmapAddress": ADDRESS,
  "control.vmwriteBitmapAddress": ADDRESS,
  "control.virtualizationExceptionInformationAddress": ADDRESS,
  "guest.cr3": ADDRESS,
  "guest.pdpte0": ADDRESS,
  "guest.pdpte1": ADDRESS,
  "guest.pdpte2": ADDRESS,
  "guest.pdpte3": ADDRESS,
  "guest.rip": NEARBY,
  "guest.rsp": NEARBY,
  "guest.cs.base": NEARBY,
  "guest.ss.base": NEARBY,
  "guest.ds.base": NEARBY,
  "guest.es.base": NEARBY,
  "guest.tr.base": NEARBY,
  "guest.gdtr.base": NEARBY,
  "guest.idtr.base": NEARBY,
  // Neither shutdown nor wait-for-SIPI: the first may, the second will wait for ever.
  "guest.activity": 0xffff_fffdn,
  "guest.vmxPreemptionTimer": 0xffffn,
};

const widthOf = { "16": 16, "32": 32, "64": 64, natural: 64 } as const;
/** What fields are set to, beside random values. */
// biome-ignore format: one list
const favourites = [
  0n, 1n, 2n, 3n, 4n, 7n, 8n, 0x10n, 0x93n, 0x9bn, 0x1_0000n, 0x8000_0000n, 0xffff_ffffn, 0x7fff_ffff_ffffn, 0x8000_0000_0000n, 0xffff_ffff_ffff_ffffn,
] as const;

/** "near": one to three changes that keep the host alive. "hostile": anything, up to garbage in every field. */
export type RandomKind = "near" | "hostile";

export interface RandomSeeds {
  readonly kind: RandomKind;
  readonly first: number;
  readonly count: number;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

const main = (kind: RandomKind): string => `
main:   mov rax, [firstSeed]
        mov [random + 8], rax
        mov rax, [seedCount]
        mov [random + 16], rax
nextSeed:
        cmp qword [random + 16], 0
        je finish
        mov rax, [random + 8]
        inc rax
        mov rcx, 0x9e3779b97f4a7c15
        imul rax, rcx
        mov [random], rax
        call draw
        xor edx, edx
        mov ecx, ${randomBases.length}
        div rcx
        mov rbx, [randomTable + rdx * 8]
        call beginCase
        call forgetMappings
        mov qword [random + 24], 0
        mov qword [random + 32], 0
        mov rdi, mutations
        mov [random + 40], rdi
        call ${kind === "near" ? "changeSome" : "changeMany"}
        call step
        call verdict
        call drain
        inc qword [random + 8]
        dec qword [random + 16]
        jmp nextSeed

; A random quadword in rax.
draw:   push rcx
        mov rax, [random]
        mov rcx, rax
        shr rcx, 12
        xor rax, rcx
        mov rcx, rax
        shl rcx, 25
        xor rax, rcx
        mov rcx, rax
        shr rcx, 27
        xor rax, rcx
        mov [random], rax
        mov rcx, 0x2545f4914f6cdd1d
        imul rax, rcx
        pop rcx
        ret

; One to three fields.
changeSome:
        call draw
        xor edx, edx
        mov ecx, 3
        div rcx
        lea r12d, [rdx + 1]
.next:  call draw
        xor edx, edx
        mov ecx, randomFields
        div rcx
        imul rdx, rdx, 16
        lea rbx, [fieldRows + rdx]
        call change
        dec r12d
        jnz .next
        ret

; By the seed: one to three fields as above but with nothing kept, a sixteenth, half, or all of the fields at random.
changeMany:
        mov eax, [random + 8]
        and eax, 3
        jz changeSome
        mov r13d, 15
        cmp eax, 1
        je .fields
        mov r13d, 1
        cmp eax, 2
        je .fields
        xor r13d, r13d
.fields:
        mov rbx, fieldRows
        mov r12d, randomFields
.next:  call draw
        shr rax, 40
        test eax, r13d
        jnz .keep
        movzx esi, word [rbx]
        cmp byte [offered + rsi], 0
        je .keep
        call draw
        mov rcx, rax
        call draw
        test al, 0x30
        jz .favourite
        vmwrite rsi, rcx
        jmp .keep
.favourite:
        and eax, 15
        mov rcx, [favourites + rax * 8]
        vmwrite rsi, rcx
.keep:  add rbx, 16
        dec r12d
        jnz .next
        ret

; The field of the row at rbx.
change: call draw
        mov r9, rax
        call draw
        mov r10, rax
        call draw
        mov r11, rax
; As many draws where the field lacks.
        movzx esi, word [rbx]
        cmp byte [offered + rsi], 0
        je .end
        vmread r8, rsi
        mov rax, r10
        and r9d, 7
        cmp r9d, 4
        jb .bit
        je .bits
        cmp r9d, 6
        jb .favourite
        je .random
        movzx eax, al
        xor rax, r8
        jmp .set
.bits:  call .flip
        mov r8, rax
        mov r10, r11
.bit:   call .flip
        jmp .set
.favourite:
        and eax, 15
        mov rax, [favourites + rax * 8]
        jmp .set
; Where the value was before the first of two flips does not matter: only bits of the mask change.
.random:
.set:   vmread r8, rsi
        xor rax, r8
        ${kind === "near" ? "and rax, [rbx + 8]" : ""}
        xor rax, r8
        vmwrite rsi, rax
        vmread rax, rsi
        mov rdi, [random + 40]
        mov [rdi], rsi
        mov [rdi + 8], rax
        add qword [random + 40], 16
        inc qword [random + 24]
; What was changed, in 16 bits; where the kernel's own parts are does not count.
        cmp esi, host.cr0
        jb .sum
        xor eax, eax
.sum:
        imul rax, rax, 31
        add rax, rsi
        mov rcx, [random + 32]
        imul rcx, rcx, 33
        add rcx, rax
        mov rax, rcx
        shr rax, 32
        xor rcx, rax
        mov [random + 32], rcx
.end:   ret
; rax: r8 with one bit of the field's width changed, by r10.
.flip:  movzx ecx, word [rbx + 2]
        dec ecx
        and ecx, r10d
        mov eax, 1
        shl rax, cl
        xor rax, r8
        ret

; "r SEED KIND REASON QUALIFICATION CHECKSUM BASE FIELD=VALUE ...": the VM-instruction error or the exit reason; the qualification of failed entries.
verdict:
        mov al, 'r'
        call put
        mov al, ' '
        call put
        mov rax, [random + 8]
        call hex
        mov al, ' '
        call put
        mov al, [kind]
        call put
        xor r14d, r14d
        mov eax, exit.vmInstructionError
        cmp byte [kind], 'X'
        jne .reason
        mov eax, exit.qualification
        vmread r14, rax
        mov eax, exit.reason
.reason:
        vmread r13, rax
        test r13d, 0x80000000
        jnz .qualified
        xor r14d, r14d
.qualified:
        mov al, ' '
        call put
        mov rax, r13
        call hex
        mov al, ' '
        call put
        mov rax, r14
        call hex
        mov al, ' '
        call put
        movzx eax, word [random + 32]
        call hex
        mov al, ' '
        call put
        mov rax, [caseNumber]
        call hex
        mov rbx, mutations
.change:
        cmp rbx, [random + 40]
        jae .end
        mov al, ' '
        call put
        mov rax, [rbx]
        call hex
        mov al, '='
        call put
        mov rax, [rbx + 8]
        call hex
        add rbx, 16
        jmp .change
.end:   jmp newLine

        align 8
fieldRows:
${vmcsFields
  .filter(({ area }) => area !== "exit")
  .filter(({ name }) => kind === "hostile" || changeable[name] !== 0n)
  .map(
    ({ name, encoding, width }) =>
      ` dw ${encoding}, ${widthOf[width]}, 0, 0\n dq ${hex(changeable[name] ?? 0xffff_ffff_ffff_ffffn)}`,
  )
  .join("\n")}
randomFields equ ($ - fieldRows) / 16
favourites:
${favourites.map((value) => ` dq ${hex(value)}`).join("\n")}
mutations: times 64 db 0
firstSeed: dq 0
seedCount: dq 0
`;

const kernelCache = new Map<RandomKind, Kernel>();
const kernelOf = (kind: RandomKind): Kernel => {
  const known = kernelCache.get(kind);
  if (known) return known;
  const cases = randomBases.map((base) => ({ ...base, stores: { ...msrAreas, ...base.stores } }));
  const made = kernelWith(main(kind), cases, "randomTable");
  kernelCache.set(kind, made);
  return made;
};

/** A multiboot image that enters the VMCSs of the seeds one after the other and prints a verdict on each. */
export const randomVmcsKernel = ({ kind, first, count }: RandomSeeds): Uint8Array => {
  const { image, offsetOf } = kernelOf(kind);
  const copy = image.slice();
  const view = new DataView(copy.buffer);
  view.setBigUint64(offsetOf("firstSeed"), BigInt(first), true);
  view.setBigUint64(offsetOf("seedCount"), BigInt(count), true);
  return copy;
};
