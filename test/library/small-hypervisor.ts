import { assemble } from "../../src/api/index.ts";
import { type VmcsFieldName, vmcsField } from "../../src/arch/vmcs-fields.ts";

/** A hypervisor of a page: 64-bit, its guest in its own address space, to be booted as a flat binary in mode "long64". */

const ORIGIN = 0x7c00;
const [VMXON_REGION, VMCS_REGION, GUEST_STACK] = [0x1_0000, 0x1_1000, 0x1_3000];
const flat = 0xffff_ffff;

const segment = (name: string, selector: number, access: number): Record<string, number | string> => ({
  [`guest.${name}.selector`]: selector,
  [`guest.${name}.access`]: access,
  [`guest.${name}.limit`]: flat,
});

/** Values, or labels of the program. Fields that are not here are 0. */
const fields: Record<string, number | string> = {
  "control.pinBased": 0x16,
  // HLT exiting, unconditional I/O exiting.
  "control.processorBased": 0x0501_e1f2,
  "control.exitControls": 0x0003_6fff,
  "control.entryControls": 0x0000_13ff,
  "guest.vmcsLinkPointer": "0xffffffffffffffff",
  "guest.cr0": "0x80010031",
  "guest.cr4": 0x2020,
  "guest.dr7": 0x400,
  "guest.rflags": 2,
  "guest.rip": "guest",
  "guest.rsp": GUEST_STACK,
  ...segment("cs", 8, 0xa09b),
  ...Object.assign({}, ...["ss", "ds", "es", "fs", "gs"].map((name) => segment(name, 0x10, 0xc093))),
  "guest.tr.selector": 0x18,
  "guest.tr.access": 0x8b,
  "guest.tr.limit": 0x67,
  "guest.ldtr.access": 0x1_0000,
  "host.cr0": "0x80010031",
  "host.cr4": 0x2020,
  "host.cs.selector": 8,
  "host.ss.selector": 0x10,
  "host.tr.selector": 0x18,
  "host.rip": "exited",
  "host.rsp": 0x7000,
};

/**
 * The program. `changes` are to its VMCS; `guest` is the guest's code, which ends by VMCALL. VM exits by other reasons skip their instruction.
 * Port 0xF4 gets 1 after the VMCALL, 2 after a VM-entry failure, 3 after VMfail.
 */
export const smallHypervisor = (
  guest: string,
  changes: Partial<Record<VmcsFieldName, number | string>> = {},
  before = "",
): Uint8Array => {
  const writes = Object.entries({ ...fields, ...changes }).map(
    ([name, value]) =>
      `mov rax, ${value}\nmov edx, ${vmcsField(name as VmcsFieldName).encoding}\nvmwrite rdx, rax`,
  );
  const encoding = (name: VmcsFieldName): number => vmcsField(name).encoding;
  const assembly = assemble(
    `
        bits 64
        mov rsp, 0x7000
        mov rax, cr0
        or rax, 0x20
        mov cr0, rax
        mov rax, cr4
        or rax, 0x2000
        mov cr4, rax
        mov ecx, 0x3a
        rdmsr
        test al, 1
        jnz .locked
        or eax, 5
        wrmsr
.locked: mov ecx, 0x480
        rdmsr
        mov [${VMXON_REGION}], eax
        mov [${VMCS_REGION}], eax
        vmxon [vmxonPointer]
        jbe failed
        vmclear [vmcsPointer]
        jbe failed
${before}
        vmptrld [vmcsPointer]
        jbe failed
${writes.join("\n")}
        mov rax, cr3
        mov edx, ${encoding("guest.cr3")}
        vmwrite rdx, rax
        mov edx, ${encoding("host.cr3")}
        vmwrite rdx, rax
launch: vmlaunch
failed: mov al, 3
        out 0xf4, al
exited: push rax
        push rdx
        mov edx, ${encoding("exit.reason")}
        vmread rax, rdx
        cmp eax, 18
        je .called
        test eax, eax
        js .refused
        mov edx, ${encoding("exit.instructionLength")}
        vmread rax, rdx
        push rax
        mov edx, ${encoding("guest.rip")}
        vmread rax, rdx
        add rax, [rsp]
        vmwrite rdx, rax
        pop rax
        pop rdx
        pop rax
        vmresume
        jmp failed
.called: mov al, 1
        out 0xf4, al
.refused: mov al, 2
        out 0xf4, al
guest:
${guest}
        vmcall
        align 8
vmxonPointer: dq ${VMXON_REGION}
vmcsPointer: dq ${VMCS_REGION}
`,
    { codeSize: 64, origin: ORIGIN },
  );
  if (assembly.kind === "errors") throw new Error(JSON.stringify(assembly.errors));
  return assembly.bytes;
};
