import {
  blockPage,
  blockResult,
  blockType,
  bootParameters,
  consoleKey,
  deviceDescriptor,
  deviceStatus,
  deviceType,
  entryMark,
  hypercall,
  hypercallVector,
  lguestData,
  lguestDma,
  powerDownReason,
  ringSlots,
  selector,
  slotStatus,
  syscallVector,
} from "../abi.ts";

/** The kernel's half of the paravirtual guest. It runs in ring 1, and says `cli` by a store. */

/** Where the kernel is linked and loaded. */
export const kernelOffset = 0xc000_0000;
export const kernelPhysical = 0x10_0000;
/** A program sees its code here, and its one page of variables and stack, which comes when it is first touched. */
export const program = { code: 0x40_0000, page: 0x50_0000 } as const;

/** Numbers of system calls: EAX; arguments EBX, ECX, EDX; result EAX. */
// biome-ignore format: one row per fact
export const systemCall = {
  write: 0, read: 1, yield: 2, sleep: 3, exit: 4, spawn: 5, ticks: 6, task: 7, diskRead: 8, diskWrite: 9, wallclock: 10, off: 11, number: 12,
} as const;
export const taskState = { free: 0, ready: 1, sleeping: 2, reading: 3, disk: 4 } as const;
const tasks = 8;
/** struct task, and the pages of each: directory, table, program's page, kernel stack. */
const task = {
  state: 0,
  esp: 4,
  cr3: 8,
  wake: 12,
  ticks: 16,
  name: 20,
  stack: 24,
  number: 28,
  bytes: 32,
} as const;
const tickNs = 10_000_000;
/** What an entry leaves on the kernel stack, from ESP on. */
// biome-ignore format: stack order
const frame = { edx: 28, ecx: 32, ebx: 24, eax: 36, vector: 40, errorCode: 44, eip: 48, cs: 52 } as const;

const exceptions = [0, 1, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 16, 17, 19];
const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);
/** The CPU goes to these by itself, by trap gates: the host never hears of them. */
const direct: ReadonlySet<number> = new Set([0, 1, 3, 4, 5, 6, 9, 10, 11, 12, 16, 17, 19, syscallVector]);
const interrupts = [32, 33, 34];
const vectors = [...exceptions, ...interrupts, syscallVector];
const gateRow = (vector: number): string => {
  const level = vector === syscallVector || vector === 3 || vector === 4 ? 3 : 1;
  const type = direct.has(vector) ? 15 : 14;
  return ` dd ${vector}, entry${vector}, ${0x8000 | (level << 13) | (type << 8)}`;
};
const entryOf = (vector: number): string =>
  `entry${vector}: ${withErrorCode.has(vector) ? "" : "push dword 0\n"} push dword ${vector}\n jmp trapped`;

const data = (field: keyof typeof lguestData): string => `lguestData + ${lguestData[field]}`;
const call = (name: keyof typeof hypercall): string => `mov eax, ${hypercall[name]}\n int ${hypercallVector}`;

export const kernelSource = `
        bits 32
V       equ ${kernelOffset}
; Whoever boots this as a multiboot kernel, on a machine or in a virtual one that only looks like a machine, is told so.
        dd 0x1badb002, 0, -0x1badb002
bare:   mov esi, bareText - V
.byte:  mov dx, 0x3fd
        in al, dx
        test al, 0x20
        jz .byte
        mov dx, 0x3f8
        lodsb
        test al, al
        jz .off
        out dx, al
        jmp .byte
.off:   mov dx, 0x604
        mov ax, 0x3c00
        out dx, ax
        hlt
bareText: db "This kernel is paravirtual: it wants to be the guest of lguest.", 13, 10, 0

        db "${entryMark}"
        cld
        mov esp, bootStack
        mov edx, lguestData - V
        ${call("INIT")}
        mov edx, gdt - V
        mov ebx, 32
        ${call("LOAD_GDT")}
        mov esi, gates
.gate:  mov edx, [esi]
        mov ebx, [esi + 4]
        mov ecx, ebx
        and ecx, 0xffff0000
        or ecx, [esi + 8]
        and ebx, 0xffff
        ${call("LOAD_IDT_ENTRY")}
        add esi, 12
        cmp esi, gatesEnd
        jb .gate
        mov esi, banner
        call print
        call findDisk
        mov edx, ${consoleKey}          ; what is typed comes into consoleIn, by interrupt 1
        mov ebx, consoleIn - V
        mov ecx, 1 << 8 | 1
        ${call("BIND_DMA")}
        call readCommandLine

; Task 0 is this: it halts whenever nobody else wants to run.
        mov edi, tasksAt
        mov [current], edi
        mov dword [edi + ${task.state}], ${taskState.ready}
        mov dword [edi + ${task.name}], idleName
        mov dword [edi + ${task.stack}], bootStack
        mov eax, [V + ${bootParameters.e820_map + 8}]
        sub eax, 4096                   ; the Launcher's page directory
        mov [edi + ${task.cr3}], eax
        xor ebx, ebx
        call spawn
        mov dword [${data("blocked_interrupts")}], 0
        mov edx, ${tickNs}
        ${call("SET_CLOCKEVENT")}
        call schedule
idle:   mov dword [${data("irq_enabled")}], 0x200
        ${call("HALT")}
        jmp idle

; ---------------------------------------------------------------------------------------------- traps and interrupts
${vectors.map(entryOf).join("\n")}
trapped:
        pushad
        push ds
        push es
        mov eax, ${selector.KERNEL_DS + 1}
        mov ds, eax
        mov es, eax
        cld
        mov dword [${data("irq_enabled")}], 0 ; the real IF stays set: an interrupt for the host may always come
        mov eax, [esp + ${frame.vector}]
        cmp eax, ${syscallVector}
        je system
        cmp eax, 32
        je tick
        cmp eax, 33
        je console
        cmp eax, 34
        je diskDone
        cmp eax, 14
        je pageFault
        cmp eax, 7
        je fpu
        jmp bad

leave:  pop es
        pop ds
        popad
        add esp, 8
        push eax
        mov eax, [esp + 12]
        and eax, 0x200
noirqStart:                             ; between this store and IRET an interrupt would find half a frame
        mov [ss:${data("irq_enabled")}], eax
        pop eax
        iretd
noirqEnd:

; Every 10 ms: who has slept long enough is ready, and somebody else has his turn.
tick:   inc dword [ticks]
        mov edi, [current]
        inc dword [edi + ${task.ticks}]
        mov edx, ${tickNs}
        ${call("SET_CLOCKEVENT")}
        mov edi, tasksAt
.task:  cmp dword [edi + ${task.state}], ${taskState.sleeping}
        jne .next
        mov eax, [ticks]
        sub eax, [edi + ${task.wake}]
        js .next
        mov dword [edi + ${task.state}], ${taskState.ready}
.next:  add edi, ${task.bytes}
        cmp edi, tasksEnd
        jb .task
        call schedule
        jmp leave

console:
        xor ecx, ecx
.byte:  cmp ecx, [consoleIn + ${lguestDma.used_len}]
        jae .end
        mov al, [typed + ecx]
        call take
        inc ecx
        jmp .byte
.end:   mov dword [consoleIn + ${lguestDma.used_len}], 0
        mov eax, ${taskState.reading}
        call wake
        call schedule
        jmp leave

diskDone:
        mov eax, ${taskState.disk}
        call wake
        call schedule
        jmp leave

; All tasks in state eax are ready.
wake:   mov edi, tasksAt
.task:  cmp [edi + ${task.state}], eax
        jne .next
        mov dword [edi + ${task.state}], ${taskState.ready}
.next:  add edi, ${task.bytes}
        cmp edi, tasksEnd
        jb .task
        ret

; A program's page is made when it is touched; anything else is the end of it.
pageFault:
        mov eax, [${data("cr2")}]
        mov ebx, eax
        shr ebx, 12
        cmp ebx, ${program.page >>> 12}
        jne bad
        mov edi, [current]
        mov esi, [edi + ${task.cr3}]
        add esi, V
        cmp dword [esi + 0x1000 + ${(program.page & 0x3f_ffff) >>> 10}], 0
        jne bad
        lea ecx, [esi + 0x2000 - V + 0x67]
        mov [esi + 0x1000 + ${(program.page & 0x3f_ffff) >>> 10}], ecx
        lea edx, [esi - V]
        mov ebx, ${program.page}
        mov eax, ${hypercall.SET_PTE}
        call later
        lea edi, [esi + 0x2000]
        mov ecx, 1024
        xor eax, eax
        rep stosd
        ${call("FLUSH_ASYNC")}
        jmp leave

; The FPU belongs to whoever used it last.
fpu:    xor edx, edx
        ${call("TS")}
        mov eax, [current]
        mov ebx, [fpuOwner]
        cmp eax, ebx
        je leave
        test ebx, ebx
        jz .load
        mov ecx, [ebx + ${task.number}]
        shl ecx, 9
        fxsave [fpuAreas + ecx]
.load:  mov [fpuOwner], eax
        mov ecx, [eax + ${task.number}]
        shl ecx, 9
        fxrstor [fpuAreas + ecx]
        jmp leave

; A trap of a program's own making is its end, one in the kernel everybody's.
bad:    test dword [esp + ${frame.cs}], 2
        jz crashed
        mov esi, taskText
        call print
        mov edi, [current]
        mov eax, [edi + ${task.number}]
        call printDecimal
        mov esi, exceptionText
        call print
        mov eax, [esp + ${frame.vector}]
        call printDecimal
        mov esi, atText
        call print
        mov eax, [esp + ${frame.eip}]
        call printHex
        mov esi, killedText
        call print
        jmp exit
crashed:
        mov edx, panicText - V
        ${call("CRASH")}

; -------------------------------------------------------------------------------------------------------- system calls
system: mov eax, [esp + ${frame.eax}]
        cmp eax, ${Object.keys(systemCall).length}
        jae .none
        mov ebx, [esp + ${frame.ebx}]
        mov ecx, [esp + ${frame.ecx}]
        mov edx, [esp + ${frame.edx}]
        call [systemTable + eax * 4]
        mov [esp + ${frame.eax}], eax
        jmp leave
.none:  mov dword [esp + ${frame.eax}], -1
        jmp leave

; ebx = address, ecx = length of something of the program's; carry: it is not, or is longer than a page.
mine:   cmp ecx, 4096
        ja .no
        lea eax, [ebx + ecx]
        cmp ebx, ${program.page}
        jae .page
        cmp ebx, ${program.code}
        jb .no
        cmp eax, ${program.code} + programsEnd - programs
        ja .no
        clc
        ret
.page:  cmp eax, ${program.page + 4096}
        ja .no
        clc
        ret
.no:    stc
        ret

sysWrite:
        call mine
        jc failed
        mov esi, ebx
        call printBytes
        xor eax, eax
        ret
failed: mov eax, -1
        ret

sysRead:
        movzx eax, byte [tail]
        cmp al, [head]
        jne .have
        mov edi, [current]
        mov dword [edi + ${task.state}], ${taskState.reading}
        call schedule
        jmp sysRead
.have:  movzx eax, byte [ring + eax]
        inc byte [tail]
        ret

sysYield:
        call schedule
        xor eax, eax
        ret

sysSleep:
        mov edi, [current]
        add ebx, [ticks]
        mov [edi + ${task.wake}], ebx
        mov dword [edi + ${task.state}], ${taskState.sleeping}
        call schedule
        xor eax, eax
        ret

exit:
sysExit:
        mov edi, [current]
        cmp [fpuOwner], edi
        jne .free
        mov dword [fpuOwner], 0
.free:  mov dword [edi + ${task.state}], ${taskState.free}
        call schedule                   ; which does not come back

sysTicks:
        mov eax, [ticks]
        ret
sysNumber:
        mov eax, [current]
        mov eax, [eax + ${task.number}]
        ret

; Task ebx: its state, ticks << 8, to eax, and its name's address for the program in the frame's ebx.
sysTask:
        cmp ebx, ${tasks}
        jae failed
        shl ebx, 5
        mov eax, [tasksAt + ebx + ${task.ticks}]
        shl eax, 8
        or eax, [tasksAt + ebx + ${task.state}]
        mov ebx, [tasksAt + ebx + ${task.name}]
        mov [esp + 4 + ${frame.ebx}], ebx
        ret

sysWallclock:
        ${call("GET_WALLCLOCK")}
        ret

sysOff: mov edx, offText - V
        ${call("CRASH")}

; Sector ebx of the disk, 512 bytes at ecx. One request at a time, from anybody.
sysDiskRead:
        mov edx, ${blockType.read}
        jmp disk
sysDiskWrite:
        mov edx, ${blockType.write}
disk:   xchg ebx, ecx
        push ecx                        ; the sector
        mov ecx, 512
        call mine
        pop ecx
        jc failed
        mov esi, [diskPage]
        test esi, esi
        jz failed
        cmp edx, ${blockType.write}
        jne .ask
        pushad
        mov esi, ebx
        mov edi, sector
        mov ecx, 128
        rep movsd
        popad
.ask:   mov [esi + ${blockPage.type}], edx
        mov [esi + ${blockPage.sector}], ecx
        mov dword [esi + ${blockPage.bytes}], 512
        mov dword [esi + ${blockPage.result}], ${blockResult.pending}
        push ebx
        push edx
        mov ebx, sectorOut - V
        test edx, edx
        jnz .send
        mov dword [sectorIn + ${lguestDma.used_len}], 0
        mov ebx, ping - V
.send:  lea edx, [esi - V]
        ${call("SEND_DMA")}
.wait:  cmp dword [esi + ${blockPage.result}], ${blockResult.pending}
        jne .done
        mov edi, [current]
        mov dword [edi + ${task.state}], ${taskState.disk}
        call schedule
        jmp .wait
.done:  pop edx
        pop edi
        cmp dword [esi + ${blockPage.result}], ${blockResult.ok}
        jne failed
        xor eax, eax
        test edx, edx
        jnz .end
        mov esi, sector
        mov ecx, 128
        rep movsd
.end:   ret

; A new task that runs program ebx: its number to eax, or -1.
spawn:
sysSpawn:
        cmp ebx, (programTableEnd - programTable) / 8
        jae failed
        mov edi, tasksAt + ${task.bytes}
        mov edx, 1
.find:  cmp dword [edi + ${task.state}], ${taskState.free}
        je .found
        add edi, ${task.bytes}
        inc edx
        cmp edi, tasksEnd
        jb .find
        jmp failed
.found: push edx
        mov [edi + ${task.number}], edx
        mov dword [edi + ${task.ticks}], 0
        mov eax, [programTable + ebx * 8 + 4]
        mov [edi + ${task.name}], eax
        mov ebp, [programTable + ebx * 8]
        shl edx, 14
        lea esi, [taskPages + edx]      ; directory, table, page, kernel stack
        lea eax, [esi - V]
        mov [edi + ${task.cr3}], eax
        lea eax, [esi + 0x4000]
        mov [edi + ${task.stack}], eax
        pushad
        mov edi, esi
        mov ecx, 2048
        xor eax, eax
        rep stosd                       ; directory and table are empty
        mov eax, [V + ${bootParameters.e820_map + 8}]
        lea eax, [eax + V - 4096 + ${(kernelOffset >>> 22) * 4}]
        xchg eax, esi
        lea edi, [eax + ${(kernelOffset >>> 22) * 4}]
        mov ecx, 255
        rep movsd                       ; the kernel's part is the Launcher's
        lea edx, [eax + 0x1000 - V + 7]
        mov [eax + ${(program.code >>> 22) * 4}], edx
        lea edi, [eax + 0x1000]
        mov edx, programs - V + 5       ; a program's code: for users, not to be written
.code:  mov [edi], edx
        add edi, 4
        add edx, 4096
        cmp edx, programsEnd - V
        jb .code
        lea edx, [eax - V]              ; the slot may have been another task's
        mov ebx, ${program.code >>> 22}
        mov eax, ${hypercall.SET_PMD}
        call later
        popad
        lea eax, [esi + 0x4000]
        mov dword [eax - 4], ${selector.USER_DS}
        mov dword [eax - 8], ${program.page + 4096 - 16}
        mov dword [eax - 12], 0x202
        mov dword [eax - 16], ${selector.USER_CS}
        mov [eax - 20], ebp
        mov dword [eax - 28 - 32 - 4], ${selector.USER_DS} ; between: vector, error code, general registers
        mov dword [eax - 28 - 32 - 8], ${selector.USER_DS}
        mov dword [eax - 28 - 32 - 12], leave
        sub eax, 28 + 32 + 12 + 32
        mov [edi + ${task.esp}], eax
        mov ecx, [edi + ${task.number}]
        shl ecx, 9
        mov dword [fpuAreas + ecx], 0x37f
        mov dword [fpuAreas + ecx + 24], 0x1f80
        mov dword [edi + ${task.state}], ${taskState.ready}
        pop eax
        ret

; Give the processor to the next task that is ready; comes back when it is this one's turn again.
schedule:
        pushad
        mov esi, [current]
        mov [esi + ${task.esp}], esp
        mov edi, esi
        mov ecx, ${tasks}
.next:  add edi, ${task.bytes}
        cmp edi, tasksEnd
        jb .look
        mov edi, tasksAt
.look:  cmp edi, tasksAt
        je .other                       ; the idle task only when there is nobody else
        cmp dword [edi + ${task.state}], ${taskState.ready}
        je .found
.other: dec ecx
        jnz .next
        mov edi, tasksAt
.found: cmp edi, esi
        je .back
        mov [current], edi
        mov edx, [edi + ${task.cr3}]    ; three calls and one exit
        mov eax, ${hypercall.NEW_PGTABLE}
        call later
        mov edx, 1
        mov eax, ${hypercall.TS}
        call later
        mov edx, ${selector.KERNEL_DS + 1}
        mov ebx, [edi + ${task.stack}]
        mov ecx, 1
        ${call("SET_STACK")}
        mov esp, [edi + ${task.esp}]
.back:  popad
        ret

; Queue a hypercall; when the ring is full it is made at once, after those that wait.
later:  push edi
        mov edi, [slot]
        cmp byte [edi + ${data("hcall_status")}], ${slotStatus.done}
        jne .now
        push edi
        shl edi, 4
        mov [edi + ${data("hcalls")}], eax
        mov [edi + ${data("hcalls")} + 4], edx
        mov [edi + ${data("hcalls")} + 8], ebx
        mov [edi + ${data("hcalls")} + 12], ecx
        pop edi
        mov byte [edi + ${data("hcall_status")}], ${slotStatus.pending}
        inc edi
        and edi, ${ringSlots - 1}
        mov [slot], edi
        pop edi
        ret
.now:   pop edi
        int ${hypercallVector}
        ret

; ------------------------------------------------------------------------------------------------------------- devices
; The page above memory says which devices there are. The first disk is ours.
findDisk:
        mov esi, [V + ${bootParameters.e820_map + 8}]
        add esi, V
        mov ecx, ${deviceDescriptor.most}
        mov ebx, 1                      ; virtual interrupt of the device
.look:  cmp word [esi], ${deviceType.block}
        je .found
        add esi, ${deviceDescriptor.bytes}
        inc ebx
        dec ecx
        jnz .look
        ret
.found: mov word [esi + ${deviceDescriptor.status}], ${deviceStatus.acknowledge | deviceStatus.driver | deviceStatus.driverOk}
        mov edx, [esi + ${deviceDescriptor.pfn}]
        shl edx, 12
        lea eax, [edx + V]
        mov [diskPage], eax
        mov ecx, ebx
        or ecx, 1 << 8
        mov ebx, sectorIn - V
        ${call("BIND_DMA")}
        ret

; Commands on the command line come as if they were typed.
readCommandLine:
        mov esi, [V + ${bootParameters.cmd_line_ptr}]
        add esi, V
        cmp byte [esi], 0
        je .end
.byte:  mov al, [esi]
        inc esi
        test al, al
        jz .last
        cmp al, ";"
        jne .put
        mov al, 13
.put:   call take
        jmp .byte
.last:  mov al, 13
        call take
.end:   ret

; al is typed; it is lost when nobody has read 255 before.
take:   push ebx
        movzx ebx, byte [head]
        mov [ring + ebx], al
        inc bl
        cmp bl, [tail]
        je .full
        mov [head], bl
.full:  pop ebx
        ret

; The text at esi, up to its zero byte; ecx bytes at esi.
print:  mov ecx, esi
.end:   cmp byte [ecx], 0
        je .have
        inc ecx
        jmp .end
.have:  sub ecx, esi
printBytes:
        push edi
        test ecx, ecx
        jz .none
        mov [consoleOut + ${lguestDma.len}], cx
        mov edi, printed
        rep movsb
        mov edx, ${consoleKey}
        mov ebx, consoleOut - V
        ${call("SEND_DMA")}
.none:  pop edi
        ret

printDecimal:
        mov ecx, 10
        jmp printNumber
printHex:
        mov ecx, 16
printNumber:
        mov edi, digits + 15
.digit: xor edx, edx
        div ecx
        cmp dl, 10
        jb .put
        add dl, "a" - "0" - 10
.put:   add dl, "0"
        dec edi
        mov [edi], dl
        test eax, eax
        jnz .digit
        mov esi, edi
        jmp print

; ---------------------------------------------------------------------------------------------------------------- data
        align 8
gdt:    times 12 dq 0
        dq 0x00cf9a000000ffff, 0x00cf92000000ffff ; ring 0, as a careless guest has them: the host makes them ring 1
        dq 0x00cffa000000ffff, 0x00cff2000000ffff
        times 16 dq 0
gates:
${vectors.map(gateRow).join("\n")}
gatesEnd:
systemTable:
        dd sysWrite, sysRead, sysYield, sysSleep, sysExit, sysSpawn, sysTicks, sysTask, sysDiskRead, sysDiskWrite, sysWallclock, sysOff, sysNumber

        align 4
lguestData:
        dd 0, 1, 0
        times ${ringSlots} db ${slotStatus.done}
        times ${lguestData.noirq_start - lguestData.hcalls} db 0
        dd noirqStart, noirqEnd
consoleIn:
        dd 0, typed - V
        times 15 dd 0
        dw 256
        times 15 dw 0
consoleOut:
        dd 0, printed - V
        times 15 dd 0
        times 16 dw 0
sectorIn:
sectorOut:
        dd 0, sector - V
        times 15 dd 0
        dw 512
        times 15 dw 0
ping:   times ${lguestDma.bytes} db 0
current: dd 0
ticks:  dd 0
slot:   dd 0
fpuOwner: dd 0
diskPage: dd 0
head:   db 0
tail:   db 0
digits: times 16 db 0
banner: db "A paravirtual kernel in ring 1 under lguest: no VT-x. Try help, or off to leave.", 10, 0
taskText: db "task ", 0
exceptionText: db ": exception ", 0
atText: db " at 0x", 0
killedText: db ": killed", 10, 0
panicText: db "Kernel panic: a trap in the kernel", 0
offText: db "${powerDownReason}", 0
`;

/** What follows programs: memory that the image does not fill. */
export const kernelBss = `
        align 4096
bss:
sector  equ bss
printed equ sector + 4096
typed   equ printed + 4096
ring    equ typed + 256
fpuAreas equ ring + 256
tasksAt equ fpuAreas + 512 * ${tasks}
tasksEnd equ tasksAt + ${task.bytes * tasks}
bootStack equ bss + 5 * 4096
taskPages equ bootStack
end     equ taskPages + ${tasks} * 4 * 4096
`;
