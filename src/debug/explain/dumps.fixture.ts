/** Dumps as hypervisors print them, with values of ours: a 64-bit Linux guest that is fine. */

const kvmBody = `*** Guest State ***
CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=fffffffffffefff7
CR4: actual=0x00000000000026f0, shadow=0x00000000000006f0, gh_mask=fffffffffffef871
CR3 = 0x0000000002a10000
RSP = 0xffffc90000013e80  RIP = 0xffffffff81c01234
RFLAGS=0x00000246         DR7 = 0x0000000000000400
Sysenter RSP=fffffe0000003000 CS:RIP=0010:ffffffff81e01620
CS:   sel=0x0010, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000
DS:   sel=0x0000, attr=0x1c001, limit=0xffffffff, base=0x0000000000000000
SS:   sel=0x0018, attr=0x0c093, limit=0xffffffff, base=0x0000000000000000
ES:   sel=0x0000, attr=0x1c001, limit=0xffffffff, base=0x0000000000000000
FS:   sel=0x0000, attr=0x1c001, limit=0xffffffff, base=0x00007f12a4c3e740
GS:   sel=0x0000, attr=0x1c001, limit=0xffffffff, base=0xffff88807dc00000
GDTR:                           limit=0x0000007f, base=0xfffffe0000001000
LDTR: sel=0x0000, attr=0x1c000, limit=0x00000000, base=0x0000000000000000
IDTR:                           limit=0x00000fff, base=0xfffffe0000000000
TR:   sel=0x0040, attr=0x0008b, limit=0x00004087, base=0xfffffe0000003000
EFER= 0x0000000000000d01
PAT = 0x0407050600070106
DebugCtl = 0x0000000000000000  DebugExceptions = 0x0000000000000000
Interruptibility = 00000000  ActivityState = 00000000
MSR guest autoload:
   0: msr=0x00000600 value=0x0000000000000000
*** Host State ***
RIP = 0xffffffffc0a1b6c0  RSP = 0xffffc900023a7c80
CS=0010 SS=0018 DS=0000 ES=0000 FS=0000 GS=0000 TR=0040
FSBase=00007f5a3bfff6c0 GSBase=ffff88903f640000 TRBase=fffffe0000174000
GDTBase=fffffe0000172000 IDTBase=fffffe0000000000
CR0=0000000080050033 CR3=000000010a5e8003 CR4=00000000000026f0
Sysenter RSP=fffffe0000174000 CS:RIP=0010:ffffffff81e01620
EFER= 0x0000000000000d01
PAT = 0x0407050600070106
MSR host autoload:
   0: msr=0x00000600 value=0xfffffe00001940b0
*** Control State ***
CPUBased=0xb5b86dfa SecondaryExec=0x001214ea TertiaryExec=0x0000000000000000
PinBased=0x0000003f EntryControls=0000d3ff ExitControls=002befff
ExceptionBitmap=00060042 PFECmask=00000000 PFECmatch=00000000
VMEntry: intr_info=00000000 errcode=00000000 ilen=00000000
VMExit: intr_info=00000000 errcode=00000000 ilen=00000003
        reason=0000000c qualification=0000000000000000
IDTVectoring: info=00000000 errcode=00000000
TSC Offset = 0xfffff4a1c2b3d4e5
TPR Threshold = 0x00
virt-APIC addr = 0x000000010b7d3000
EPT pointer = 0x000000010b1c405e
PLE Gap=00000080 Window=00001000
Virtual processor ID = 0x0002
`;

/** A recent kernel's, with dmesg's time and module. */
export const kvmLog = `VMCS 00000000336523a9, last attempted VM-entry on CPU 8
${kvmBody}`
  .trimEnd()
  .split("\n")
  .map((line, index) => `[ 2311.4990${10 + index}] kvm_intel: ${line}\n`)
  .join("");

/** Before 5.10: control words in one line without 0x, EFER and PAT together, no title. */
export const oldKvmLog = kvmBody
  .replace(
    /CPUBased=0x(\w+) SecondaryExec=0x(\w+) TertiaryExec=\w+\nPinBased=0x(\w+) /,
    "PinBased=$3 CPUBased=$1 SecondaryExec=$2\n",
  )
  .replaceAll(/EFER= (\w+)\nPAT = /g, "EFER =     $1  PAT = ")
  .replaceAll(/MSR \w+ autoload:\n.*\n/g, "")
  .replace("TPR Threshold", "SVI|RVI = 00|00 TPR Threshold");

/** Xen's debug key "v", as its console prints it. */
export const xenLog = `*********** VMCS Areas **************

>>> Domain 3 <<<
\tVCPU 0
*** Guest State ***
CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=ffffffffffffffff
CR4: actual=0x00000000000026f0, shadow=0x00000000000006f0, gh_mask=ffffffffffc8f860
CR3 = 0x0000000000123000
RSP = 0xffffffff82003e90 (0xffffffff82003e90)  RIP = 0xffffffff8101e0a5 (0xffffffff8101e0a6)
RFLAGS=0x00000246 (0x00000246)  DR7 = 0x0000000000000400
Sysenter RSP=fffffe0000003000 CS:RIP=0010:ffffffff81e01620
       sel  attr  limit   base
  CS: 0010 0a09b ffffffff 0000000000000000
  DS: 0000 1c000 ffffffff 0000000000000000
  SS: 0018 0c093 ffffffff 0000000000000000
  ES: 0000 1c000 ffffffff 0000000000000000
  FS: 0000 1c000 ffffffff 0000000000000000
  GS: 0000 1c000 ffffffff ffff88803fc00000
GDTR:            0000007f fffffe0000001000
LDTR: 0000 1c000 00000000 0000000000000000
IDTR:            00000fff fffffe0000000000
  TR: 0040 0008b 0000206f fffffe0000003000
EFER = 0x0000000000000d01  PAT = 0x0007040600070406
PreemptionTimer = 0x00000000  SM Base = 0x00000000
DebugCtl = 0x0000000000000000  DebugExceptions = 0x0000000000000000
Interruptibility = 00000000  ActivityState = 00000000
*** Host State ***
RIP = 0xffff82d040204d30 (vmx_asm_vmexit_handler)  RSP = 0xffff83043c057f70
CS=e008 SS=0000 DS=0000 ES=0000 FS=0000 GS=0000 TR=e040
FSBase=0000000000000000 GSBase=0000000000000000 TRBase=ffff82d04055e000
GDTBase=ffff82d04042e000 IDTBase=ffff82d040559000
CR0=0000000080050033 CR3=0000000172a67000 CR4=00000000000026e0
Sysenter RSP=ffff83043c057fa0 CS:RIP=e008:ffff82d0402654b0
EFER = 0x0000000000000d01  PAT = 0x0000050100070406
*** Control State ***
PinBased=0000003f CPUBased=b6a065fa SecondaryExec=000014eb
EntryControls=0000d3ff ExitControls=002fefff
ExceptionBitmap=00060002 PFECmask=00000000 PFECmatch=00000000
VMEntry: intr_info=00000000 errcode=00000000 ilen=00000000
VMExit: intr_info=00000000 errcode=00000000 ilen=00000001
        reason=0000000c qualification=0000000000000000
IDTVectoring: info=00000000 errcode=00000000
TSC Offset = 0xffffffcf8453199b  TSC Multiplier = 0x0000000000000000
TPR Threshold = 0x00  PostedIntrVec = 0x00
EPT pointer = 0x0000000172a0b01e  EPTP index = 0x0000
PLE Gap=00000080 Window=00001000
Virtual processor ID = 0x000e VMfunc controls = 0000000000000000
**************************************
`
  .trimEnd()
  .split("\n")
  .map((line) => `(XEN) ${line}\n`)
  .join("");

/** Xen before 4.6. */
export const oldXenLog = `*********** VMCS Areas **************

>>> Domain 1 <<<
\tVCPU 1
*** Guest State ***
CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=ffffffffffffffff
CR4: actual=0x00000000000026f0, shadow=0x00000000000006f0, gh_mask=ffffffffffffffff
CR3: actual=0x0000000000123000, target_count=0
     target0=0000000000000000, target1=0000000000000000
     target2=0000000000000000, target3=0000000000000000
RSP = 0xffffffff82003e90 (0xffffffff82003e90)  RIP = 0xffffffff8101e0a5 (0xffffffff8101e0a6)
RFLAGS=0x0000000000000246 (0x0000000000000246)  DR7 = 0x0000000000000400
Sysenter RSP=0000000000000000 CS:RIP=0010:ffffffff81e01620
CS: sel=0x0010, attr=0xa09b, limit=0xffffffff, base=0x0000000000000000
DS: sel=0x0000, attr=0x1c000, limit=0xffffffff, base=0x0000000000000000
SS: sel=0x0018, attr=0xc093, limit=0xffffffff, base=0x0000000000000000
ES: sel=0x0000, attr=0x1c000, limit=0xffffffff, base=0x0000000000000000
FS: sel=0x0000, attr=0x1c000, limit=0xffffffff, base=0x0000000000000000
GS: sel=0x0000, attr=0x1c000, limit=0xffffffff, base=0xffff88803fc00000
GDTR:                           limit=0x0000007f, base=0xffff88803fc04000
LDTR: sel=0x0000, attr=0x1c000, limit=0x00000000, base=0x0000000000000000
IDTR:                           limit=0x00000fff, base=0xffffffff81dd8000
TR: sel=0x0040, attr=0x008b, limit=0x00002087, base=0xffff88803fc118c0
Guest PAT = 0x0007010600070106
TSC Offset = ffffffcf8453199b
DebugCtl=0000000000000000 DebugExceptions=0000000000000000
Interruptibility=0000 ActivityState=0000
*** Host State ***
RSP = 0xffff83043c057f90  RIP = 0xffff82c4c01e0b60
CS=e008 DS=0000 ES=0000 FS=0000 GS=0000 SS=0000 TR=e040
FSBase=0000000000000000 GSBase=0000000000000000 TRBase=ffff82c4c02d5b80
GDTBase=ffff82c4c02c8000 IDTBase=ffff83043c0d7000
CR0=0000000080050033 CR3=0000000172a67000 CR4=00000000000026f0
Sysenter RSP=ffff83043c057fc0 CS:RIP=e008:ffff82c4c022d700
Host PAT = 0x0000050100070406
*** Control State ***
PinBased=0000003f CPUBased=b6a065fa SecondaryExec=000004eb
EntryControls=000053ff ExitControls=000fefff
ExceptionBitmap=00060082
VMEntry: intr_info=00000000 errcode=00000000 ilen=00000000
VMExit: intr_info=00000000 errcode=00000000 ilen=00000000
        reason=0000000c qualification=00000000
IDTVectoring: info=00000000 errcode=00000000
TPR Threshold = 0x00
EPT pointer = 0x0000000172a0b01e
Virtual processor ID = 0x000e
**************************************
`
  .trimEnd()
  .split("\n")
  .map((line) => `(XEN) ${line}\n`)
  .join("");
