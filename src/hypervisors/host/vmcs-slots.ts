import { type VmcsFieldName, vmcsFields } from "../../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../../arch/vmx-controls.ts";
import { type FieldSlot, fieldSlot } from "./vmx-door.ts";

/** Every field of a VMCS, looked up once. */
export const field = Object.fromEntries(vmcsFields.map(({ name }) => [name, fieldSlot(name)])) as Readonly<
  Record<VmcsFieldName, FieldSlot>
>;

/** The bit of a control in its word. */
export const controlBit = (key: ControlKey): number => 2 ** vmxControl(key).bit;

/** Interruption information of VM entries, VM exits and IDT vectoring (SDM Vol. 3, "VM-Entry Controls for Event Injection"). */
export const interruption = {
  vector: 0xff,
  type: 7 << 8,
  deliversErrorCode: 1 << 11,
  /** Of VM exits: IRET had unblocked NMIs when it faulted. */
  nmiUnblocked: 1 << 12,
  valid: 2 ** 31,
} as const;
// biome-ignore format: one row per fact
export const eventType = {
  external: 0 << 8, NMI: 2 << 8, hardwareException: 3 << 8, softwareInterrupt: 4 << 8, privilegedSoftware: 5 << 8, softwareException: 6 << 8,
} as const;
/** Bits of the guest interruptibility state. */
export const blockingBy = { STI: 1, MOVSS: 2, NMI: 8 } as const;
