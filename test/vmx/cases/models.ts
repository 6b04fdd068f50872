import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import { mutations } from "../../../src/vmx/checks/mutations.fixture.ts";
import {
  type ConformanceCase,
  entryFailure,
  exits,
  failsValid,
  hostFailsValid,
  hostSucceeds,
  reachesHandler,
  reachesVmcall,
} from "../expectation.ts";
import { caseOf } from "./checks.ts";
import { reservedControls, withoutControls } from "./controls.ts";

/** CPU models that lack something (api option `model`), and what a VMM meets there. Only this machine has them. */

const { guestMemory, eptPml4, eptPdpt, eptDirectories, eptPageTable } = vmxMemory;
const info = "control.entryInterruptionInformation";
const EPT = ["enableEPT"] as const;
const read = { guest: "mov al, [rbx]\n xor eax, eax\n vmcall", registers: { 3: guestMemory } } as const;
const M = guestMemory;

export interface ModelTable {
  /** Option `model` of the machine. */
  readonly model: string;
  readonly cases: readonly ConformanceCase[];
}

const violation = (id: string): ConformanceCase => caseOf(mutations.find((mutation) => mutation.id === id)!);

// biome-ignore format: one row per fact
export const models: readonly ModelTable[] = [
  { model: `default,${withoutControls.map((key) => `-${key}`).join(",")}`, cases: reservedControls },
  { model: "default,-vmwriteAnyField", cases: [
    { name: "VMWRITE of a read-only field: error 13", host: "mov eax, exit.qualification\n vmwrite rax, rcx", expect: [hostFailsValid(13, { RAX: 0x6400 })] },
    { name: "VMREAD of a read-only field", host: "mov eax, exit.qualification\n vmread rcx, rax", expect: [hostSucceeds({ RAX: 0x6400 })] },
  ] },
  { model: "default,-zeroLengthInjection", cases: [
    { name: "injection of length 0 is refused", set: { [info]: 0x8000_0450 }, expect: [failsValid(7)] },
    { name: "injection of length 1 is not", set: { [info]: 0x8000_0450, "control.entryInstructionLength": 1 }, expect: [reachesHandler(0x50)] },
  ] },
  { model: "default,-anyErrorCode", cases: [
    { name: "#GP needs its error code", set: { [info]: 0x8000_030d }, expect: [failsValid(7)] },
    { name: "#UD must have none", set: { [info]: 0x8000_0b06 }, expect: [failsValid(7)] },
    { name: "#GP with its error code", set: { [info]: 0x8000_0b0d }, expect: [reachesHandler(13)] },
  ] },
  { model: "default,-eptAccessedDirty", cases: [violation("eptp-accessed-dirty")] },
  { model: "default,-trueControls", cases: [
    { name: "a default1 control of VM entry cannot be 0", off: ["loadDebugControls"], expect: [failsValid(7)] },
    { name: "a default1 control of VM exit cannot be 0", off: ["saveDebugControls"], expect: [failsValid(7)] },
    { name: "CR3-load exiting cannot be 0", off: ["cr3LoadExiting"], expect: [failsValid(7)] },
    { name: "MOV to CR3 exits", guest: "mov cr3, rax", expect: [exits("CR_ACCESS", { "exit.qualification": 3 })] },
  ] },
  { model: "default,-hltState,-shutdownState,-waitForSIPIState", cases: [
    { name: "activity state HLT is refused", set: { "guest.activity": 1 }, expect: [entryFailure("INVALID_GUEST_STATE")] },
    { name: "activity state shutdown is refused", set: { "guest.activity": 2 }, expect: [entryFailure("INVALID_GUEST_STATE")] },
    { name: "activity state wait-for-SIPI is refused", set: { "guest.activity": 3 }, expect: [entryFailure("INVALID_GUEST_STATE")] },
  ] },
  { model: "default,-eptExecuteOnly", cases: [
    { name: "an execute-only page is misconfigured", on: EPT, ...read, stores: { [eptPageTable + 5 * 8]: guestMemory | 0x34 }, expect: [exits("EPT_MISCONFIGURATION", { "exit.guestPhysicalAddress": guestMemory })] },
  ] },
  { model: "default,-ept2MPages", cases: [
    { name: "a 2-MByte page is misconfigured", on: EPT, ...read, registers: { 3: 0x60_0000 }, expect: [exits("EPT_MISCONFIGURATION", { "exit.guestPhysicalAddress": 0x60_0000 })] },
  ] },
  { model: "default,-ept1GPages", cases: [
    { name: "a 1-GByte page is misconfigured", on: EPT, ...read, stores: { [eptPdpt]: 0xb7 }, expect: [exits("EPT_MISCONFIGURATION", {})] },
  ] },
  { model: "default,-eptMemoryUC", cases: [
    { name: "an uncacheable EPT is refused", on: EPT, set: { "control.eptPointer": eptPml4 | 0x18 }, expect: [failsValid(7)] },
  ] },
  { model: "default", cases: [
    { name: "an uncacheable EPT is fine", on: EPT, set: { "control.eptPointer": eptPml4 | 0x18 }, expect: [reachesVmcall()] },
    { name: "EPT with 2-MByte pages alone", on: EPT, stores: { [eptDirectories + 8]: 0x20_00b7 }, expect: [reachesVmcall()] },
  ] },
  { model: "default,-inveptSingleContext", cases: [
    { name: "INVEPT of a single context: error 28", host: `mov qword [${M}], eptPml4 + 0x1e\n mov eax, 1\n invept rax, [${M}]`, expect: [hostFailsValid(28, { RAX: 1, "memory+0": eptPml4 + 0x1e })] },
  ] },
  { model: "default,-invvpidAddress,-invvpidRetainingGlobals", cases: [
    { name: "INVVPID of an address: error 28", host: `mov qword [${M}], 1\n invvpid rax, [${M}]`, expect: [hostFailsValid(28, { "memory+0": 1 })] },
    { name: "INVVPID but for globals: error 28", host: `mov qword [${M}], 1\n mov eax, 3\n invvpid rax, [${M}]`, expect: [hostFailsValid(28, { RAX: 3, "memory+0": 1 })] },
  ] },
  { model: "default,-eptViolationDetails", cases: [
    { name: "an EPT violation without details", on: EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: { [eptPageTable + 5 * 8]: 0 }, expect: [exits("EPT_VIOLATION", { "exit.qualification": 0x181 })] },
  ] },
];
