/** Acceptance checks of what the host does for its guests: L7 to L16 and L18 of the contract. */
import { describe, expect, it, vi } from "vitest";
import { MemoryDisk } from "../../api/memory-disk.ts";
import { blockPage, blockResult, hypercall, lguestData, ringSlots, selector } from "./abi.ts";
import { BlockDevice } from "./block-device.ts";
import { request } from "./device-file.ts";
import { boundBuffer, gather } from "./dma.ts";
import {
  call,
  guestBytes,
  hostFingerprint,
  hostRegisters,
  init,
  offset,
  openToPrograms,
  report,
  setGate,
  testGuest,
  testHost,
  toProgram,
} from "./guest.fixture.ts";
import { errno } from "./run-guest.ts";
import { loadTls } from "./segments.ts";

const withGdt = `${init}\n${call("LOAD_GDT", "gdt - V", 32)}\n${call("SET_STACK", selector.KERNEL_DS + 1, "kernelStack", 1)}`;
const { P, RW, A, D } = { P: 1, RW: 2, A: 0x20, D: 0x40 };

describe("a system call", () => {
  it("L7: through a trap gate goes from ring 3 to ring 1 and back without an exit", () => {
    const test = testGuest(`
${withGdt}
${setGate(128, "handler", 15)}
${setGate(33, "done", 14)}
${toProgram("program")}
program: mov ecx, 1000
.again: int 0x80
        loop .again
        int3
handler:
        inc dword [ss:page]             ; IRET to ring 3 has made DS null
        mov eax, cs
        mov [ss:page + 4], eax
        mov [ss:page + 8], esp
        iretd
done:`);
    openToPrograms(test);
    expect(test.read()).toBe(errno.ENOENT);
    expect(test.read()).toMatch(/^unhandled trap 13 .*\(0x1a\)/); // INT3, which no gate lets ring 3 do
    expect(test.word(test.at("page"))).toBe(1000);
    expect(test.word(test.at("page") + 4) & 3).toBe(1);
    expect(test.word(test.at("page") + 8)).toBe(test.at("kernelStack") - 20);
    expect([test.guest.exits[128], test.guest.exits[31]]).toEqual([0, 5]);
  });

  it("L8: through an interrupt gate makes one exit, and finds virtual interrupts off", () => {
    const test = testGuest(`
${withGdt}
${setGate(128, "handler", 14)}
        mov dword [shared], 0x200
${toProgram("program")}
program: mov eax, 0x1234
        int 0x80
handler:
        pop edx
        pop edx
        pop edx                         ; the flags of what was interrupted
        mov ecx, [ss:shared]
        mov [ss:page], ecx
        mov [ss:page + 4], edx
        mov [ss:page + 8], eax
${report(1)}`);
    openToPrograms(test);
    expect(test.read()).toBe(1);
    const page = test.at("page");
    expect([
      test.guest.exits[128],
      test.word(page),
      test.word(page + 4) & 0x200,
      test.word(page + 8),
    ]).toEqual([1, 0, 0x200, 0x1234]);
  });

  it("L9: and every trap leaves one frame, with error code 0 where the processor has none", () => {
    const test = testGuest(`
${withGdt}
${report(1)}
        xor edx, edx
        div edx
        ud2
        mov eax, [0x1000]
        mov eax, 0x48
        mov fs, eax
${toProgram("program")}
program: pushfd
        or dword [esp], 0x40000
        popfd
        mov eax, [ss:programStack - 13]    ; #AC`);
    openToPrograms(test);
    expect(test.read()).toBe(1);
    const seen: number[][] = [];
    const { host, guest } = test;
    host.run = (processor, budget) => {
      const trap = guest.get("trapnum");
      if (
        host.state.low32("RIP") ===
          host.code.find(({ name }) => name === "host side")!.symbols.get("runOnce.back") &&
        trap < 31
      ) {
        const next: Readonly<Record<number, number>> = { 0: 2, 6: 2, 14: 5, 13: 2 };
        if (trap !== 14 || host.state.low32("CR2") === 0x1000) {
          seen.push([
            trap,
            guest.get("errcode"),
            guest.get("cs"),
            guest.get("eflags") & 0x200,
            guest.get("ss"),
          ]);
          if (trap !== 17) {
            guest.set("eip", guest.get("eip") + next[trap]!);
            guest.set("trapnum", 255);
          }
        }
      }
      return processor.run(Math.min(budget, 1));
    };
    expect(test.read()).toBe(errno.ENOENT);
    const kernel = [selector.KERNEL_CS + 1, 0x200, selector.KERNEL_DS + 1];
    expect(seen).toEqual([
      [0, 0, ...kernel],
      [6, 0, ...kernel],
      [14, 0, ...kernel],
      [13, 0x48, ...kernel],
      [17, 0, selector.USER_CS, 0x200, selector.USER_DS],
    ]);
  });
});

describe("a page", () => {
  it("L10: makes one exit when first read and sets Accessed, one when first written and sets Dirty, then none", () => {
    const test = testGuest(`
${init}
${report(1)}
        mov eax, [page]
${report(2)}
        mov [page], eax
${report(3)}
        mov [page + 4], eax
        mov eax, [page + 8]
${report(4)}`);
    const page = test.at("page");
    const entry = test.pte(page);
    const { guest } = test;
    const flags = (): number => guest.read32(entry) & (A | D);
    expect(test.read()).toBe(1);
    guest.write32(entry, (guest.read32(entry) & ~(A | D)) | P | RW);
    const faults = (): number => guest.exits[14]!;
    const before = faults();
    const seen = [2, 3, 4].map((number) => {
      expect(test.read()).toBe(number);
      return [faults() - before, flags()];
    });
    expect(seen).toEqual([
      [1, A],
      [2, A | D],
      [2, A | D],
    ]);
  });

  it("read-only by its directory entry is read-only", () => {
    const test = testGuest(
      `${init}\n${setGate(14, "handler", 14)}\n${report(1)}\n mov [0x400000], eax\nhandler: mov eax, [shared + ${lguestData.cr2}]\n mov [page], eax\n${report(2)}`,
    );
    expect(test.read()).toBe(1);
    const { guest } = test;
    guest.write32(guest.limit - 4096 + 4, (guest.limit - 8192) | P);
    expect(test.read()).toBe(2);
    expect(test.word(test.at("page"))).toBe(0x40_0000);
  });

  it("of no memory, or with large-page or cache bits, ends the guest", () => {
    for (const [bits, says] of [
      [0x4000_0000 | P | RW, "bad page table entry 0x40000003"],
      [0x80 | P, "bad page table entry 0x81"],
      [0x10 | P, "bad page table entry 0x11"],
    ] as const) {
      const test = testGuest(`${init}\n${report(1)}\n mov eax, [page]`);
      expect(test.read()).toBe(1);
      test.guest.write32(test.pte(test.at("page")), bits);
      expect([test.read(), test.read()]).toEqual([errno.ENOENT, `${says}\0`]);
    }
  });
});

describe("a guest that breaks the rules of hypercalls", () => {
  it.each([
    ["calls before INIT", call("HALT"), "hypercall 10 before INIT"],
    ["calls INIT twice", `${init}\n${init}`, "already has its shared data: INIT came twice"],
    ["calls number 99", `${init}\n mov eax, 99\n int 31`, "bad hypercall 99"],
    [
      "has its shared data outside memory",
      call("INIT", "0x7ffffff0"),
      "bad guest page 0x7ffffff0 for the shared data",
    ],
    [
      "points outside memory",
      `${init}\n${call("LOAD_GDT", "0x80000000", 32)}`,
      "bad read address 0x80000000 length 4",
    ],
    [
      "sets the gate of vector 70",
      `${init}\n${call("LOAD_IDT_ENTRY", 70, 0, 0x8e00)}`,
      "setting the gate of vector 70, which there is not",
    ],
    [
      "asks for a task gate",
      `${init}\n${call("LOAD_IDT_ENTRY", 5, 0, 0x8500)}`,
      "bad IDT type 0x5 of vector 5",
    ],
    [
      "has its kernel stack in ring 3",
      `${init}\n${call("SET_STACK", 0x6b, "kernelStack", 1)}`,
      "bad stack segment 0x6b, expected one of ring 1",
    ],
    [
      "has its kernel stack nowhere",
      `${init}\n${call("SET_STACK", 0x69, 0x1000, 1)}`,
      "bad stack page 0xffc",
    ],
    [
      "maps the Switcher",
      `${init}\n${call("SET_PTE", 0, "0xffc00000", 3)}`,
      "attempt to access switcher pages at 0xffc00000",
    ],
    [
      "sends to a key that is no multiple of 4",
      `${init}\n${call("SEND_DMA", 2, 0)}`,
      "bad DMA key 0x2, expected a multiple of 4",
    ],
    ["gives up", `${init}\n${call("CRASH", "text - V")}\ntext: db "I give up", 0`, "I give up"],
    ["runs off", `${init}\n jmp 0`, "unhandled trap 14 at 0x0 (0x0)"],
  ])("L11: %s: dies with a sentence, which reads after the one that returns ENOENT give", (_, text, says) => {
    const test = testGuest(text);
    const before = [hostRegisters(test), hostFingerprint(test)];
    expect([test.read(), test.read(), test.read()]).toEqual([errno.ENOENT, `${says}\0`, `${says}\0`]);
    expect([hostRegisters(test), hostFingerprint(test)]).toEqual(before);
  });
});

describe("the asynchronous ring", () => {
  it("L12: is emptied in order before a direct call; when it is full the next call is direct", () => {
    const test = testGuest(`
${init}
        xor ebp, ebp
        mov edi, ${ringSlots + 1}
.queue: mov esi, [page]
        cmp byte [shared + ${lguestData.hcall_status} + esi], 0xff
        je .free
        mov [page + 4], ebp             ; the first that found no slot
        mov eax, ${hypercall.SET_PTE}
        xor edx, edx
        mov ebx, ebp
        xor ecx, ecx
        int 31
        jmp .next
.free:  shl esi, 4
        mov dword [shared + ${lguestData.hcalls} + esi], ${hypercall.SET_PTE}
        mov [shared + ${lguestData.hcalls} + 8 + esi], ebp
        shr esi, 4
        mov byte [shared + ${lguestData.hcall_status} + esi], 0
        inc esi
        and esi, ${ringSlots - 1}
        mov [page], esi
.next:  add ebp, 4096
        dec edi
        jnz .queue
${report(1)}`);
    const order: number[] = [];
    vi.spyOn(test.guest.paging, "setEntry").mockImplementation((_, address) => {
      order.push(address / 4096);
    });
    expect(test.read()).toBe(1);
    expect(order).toEqual(Array.from({ length: ringSlots + 1 }, (_, n) => n));
    expect(test.word(test.at("page") + 4)).toBe(ringSlots * 4096);
    const status = test.guest.readBytes(test.at("shared") - offset + lguestData.hcall_status, ringSlots);
    expect(status.every((byte) => byte === 0xff)).toBe(true);
    expect(test.guest.exits[31]).toBe(3);
  });
});

describe("a virtual interrupt", () => {
  const interrupted = (between: string) =>
    testGuest(`
${init}
${setGate(34, "handler", 14)}
        mov dword [shared + 4], 0
${between}
${report(9)}
handler: inc dword [page]
${report(2)}
        iretd`);

  it("L13: waits while irq_enabled is 0, and comes after it is set", () => {
    const test = interrupted(`${report(1)}\n nop\n${report(1)}\n mov dword [shared], 0x200\n${report(1)}`);
    expect(test.read()).toBe(1);
    test.file.guest!.interruptsPending = 4;
    expect(test.read()).toBe(1);
    expect(test.read()).toBe(1);
    expect(test.word(test.at("page"))).toBe(0);
    expect(test.read()).toBe(2);
    expect([test.guest.interruptsPending, test.word(test.at("shared"))]).toEqual([0, 0]);
  });

  it("L13: waits while eip is in the noirq window", () => {
    const test = interrupted(
      `${report(1)}\n mov dword [shared], 0x200\nstart:\n${report(1)}\n nop\nend:\n${report(3)}`,
    );
    test.poke(test.at("shared") + lguestData.noirq_start, test.at("start"));
    test.poke(test.at("shared") + lguestData.noirq_end, test.at("end"));
    expect(test.read()).toBe(1);
    test.guest.interruptsPending = 4;
    expect(test.read()).toBe(1);
    expect(test.read()).toBe(3);
    expect(test.read()).toBe(2);
  });

  it("L13: wakes from HALT, with interrupts enabled; blocked ones do not", () => {
    const test = interrupted(`${call("SET_CLOCKEVENT", 5000)}\n mov dword [shared + 4], 1\n${call("HALT")}`);
    const { host, guest } = test;
    const arrive = host.callouts.timer("test", () => {
      guest.interruptsPending |= 4;
    });
    arrive.arm(20_000);
    expect(test.read()).toBe(2);
    expect(host.pc.clock.nowNs).toBeGreaterThan(20_000);
    expect([guest.interruptsPending, guest.halted]).toEqual([1, false]);
  });
});

describe("the guest's segments", () => {
  const careless = `
${init}
        mov dword [gdt + 8 * 6], 0x0000ffff
        mov dword [gdt + 8 * 6 + 4], 0x00cf9200 ; ring 0, not accessed
${call("LOAD_GDT", "gdt - V", 32)}
        mov eax, 0x31
        mov ds, eax
${report(1)}
        mov eax, [0xffc00000]
${report(2)}`;

  it("L14: of ring 0 become ring 1 and accessed, and do not reach the Switcher", () => {
    const test = testGuest(careless);
    expect(test.read()).toBe(1);
    expect((test.guest.gdt[6]! >> 40n) & 0xffn).toBe(0xb3n);
    expect([test.read(), test.read()]).toEqual([errno.ENOENT, expect.stringMatching(/^unhandled trap 13 /)]);
  });

  it("L14: in historic mode let ring 1 read the Switcher's text", () => {
    const test = testGuest(careless, "historic");
    expect([test.read(), test.read()]).toEqual([1, 2]);
  });

  it("L14: that are gates, task states or grow down are not present; flat ones end at the window", () => {
    const { guest } = testGuest("");
    const load = (descriptor: bigint): bigint => {
      guest.write32(0x20_0000, Number(descriptor & 0xffff_ffffn));
      guest.write32(0x20_0004, Number(descriptor >> 32n));
      const { gdt } = guest;
      gdt.fill(0n);
      loadTls(guest, 0x20_0000);
      return gdt[6]!;
    };
    const present = 1n << 47n;
    for (const refused of [
      0x0000_ec00_0060_1234n,
      0x00cf_8900_0000_ffffn,
      0x00af_9a00_0000_ffffn,
      0x00cf_9600_0000_0000n,
      0xffcf_92c0_0000_ffffn,
    ])
      expect(load(refused) & present).toBe(0n);
    expect(load(0x00cf_9200_0000_ffffn)).toBe(0x00cf_b300_0000_fbffn);
    expect(load(0x0040_9200_0000_ffffn)).toBe(0x0040_b300_0000_ffffn);
    expect(load(0xff40_92bf_f000_ffffn)).toBe(0xff40_b3bf_f000_0fffn);
  });
});

describe("page directories", () => {
  it("L15: are kept for four values of CR3; a fifth replaces one, and a kernel entry changes in all", () => {
    const test = testGuest(`
${init}
        mov edi, 4
        mov ebp, page - V + 0x10000
.next:  mov edx, ebp
        mov eax, ${hypercall.NEW_PGTABLE}
        int 31
        mov eax, [page]                 ; present in this shadow too
        add ebp, 4096
        dec edi
        jnz .next
${report(1)}
        mov ecx, [page]
        mov [page + 4], ecx
${report(2)}`);
    const { guest } = test;
    const page = test.at("page");
    const directory = guest.limit - 4096;
    const first = page - offset + 0x1_0000;
    for (let n = 0; n < 4; n++) guest.writeBytes(first + 4096 * n, guest.readBytes(directory, 4096));
    expect(test.read()).toBe(1);
    const { cached } = guest.paging;
    expect(cached).toHaveLength(4);
    expect(cached).toContain(first + 3 * 4096);
    expect([directory, first, first + 4096, first + 8192].filter((cr3) => cached.includes(cr3))).toHaveLength(
      3,
    );
    // The kernel's page of variables is elsewhere from now on, in all tables.
    const other = page - offset + 4096;
    guest.write32(other, 0x1234_5678);
    guest.write32(test.pte(page), other | P | RW | A | D);
    guest.paging.setEntry(directory, page, other | P | RW | A | D);
    const faults = guest.exits[14]!;
    expect(test.read()).toBe(2);
    expect([guest.read32(other + 4), guest.exits[14]]).toEqual([0x1234_5678, faults]);
    for (const cr3 of cached) {
      guest.paging.switchTo(cr3);
      expect(guest.paging.translate(page)).toBe(other);
    }
  });
});

describe("two guests on one processor", () => {
  it("L16: have their tables copied when they take turns, and not while one runs again", () => {
    const made = testHost();
    const text = `${init}\n${Array.from({ length: 6 }, () => report(1)).join("\n")}`;
    const [one, two] = [made.add(text), made.add(text)];
    expect([one.read(), one.read()]).toEqual([1, 1]);
    expect(one.guest.copies).toEqual({ IDT: 1, GDT: 1 });
    for (let n = 0; n < 3; n++) expect([two.read(), one.read()]).toEqual([1, 1]);
    expect([one.guest.copies, two.guest.copies]).toEqual([
      { IDT: 4, GDT: 4 },
      { IDT: 3, GDT: 3 },
    ]);
  });

  it("L16: and on another processor likewise", () => {
    const made = testHost("fixed", 2);
    const test = made.add(`${init}\n${Array.from({ length: 4 }, () => report(1)).join("\n")}`);
    const [first, second] = made.host.cpus;
    expect([test.read(), test.read()]).toEqual([1, 1]);
    made.host.select(second!);
    expect(test.read()).toBe(1);
    expect([test.guest.lastCpu, test.guest.copies.GDT]).toEqual([1, 2]);
    made.host.select(first!);
    expect([test.read(), test.guest.copies.GDT]).toEqual([1, 3]);
  });

  it("have each its own FPU", () => {
    const made = testHost();
    const text = (number: number): string =>
      `${init}\n fldz\n${" fld1\n faddp st1, st0\n".repeat(number)}${report(1)}\n fist dword [page]\n${report(2)}\n fist dword [page + 4]\n${report(3)}`;
    const guests = [made.add(text(3)), made.add(text(5))];
    for (const number of [1, 2, 3]) for (const { read } of guests) expect(read()).toBe(number);
    expect(guests.map(({ word, at }) => [word(at("page")), word(at("page") + 4)])).toEqual([
      [3, 3],
      [5, 5],
    ]);
  });
});

describe("I/O", () => {
  it("L18: SEND_DMA makes read() return 8 bytes: the DMA's address and its key", () => {
    const made = testHost();
    const { file } = made.add(`${init}\n${call("SEND_DMA", 0x400, "page - V")}`);
    const thread = file.read({});
    expect(thread.next()).toMatchObject({ done: true, value: errno.EPERM });
    const { guest, read, at } = testGuest(`${init}\n${call("SEND_DMA", 0x400, "page - V")}`);
    expect(read()).toBe(at("page") - offset);
    expect(guest.pendingDma).toBeUndefined();
  });

  it("L18: a block read is done with result 1, its bytes and an interrupt", () => {
    const test = testGuest(`
${init}
        mov dword [page + 4], page - V + 0x1000
        mov word [page + 68], 512
${call("BIND_DMA", "0x300000", "page - V", "1 << 8 | 7")}
        mov [page + 128], eax
${call("SEND_DMA", "0x300000", "page - V + 256")}`);
    const { guest, file } = test;
    const disk = new MemoryDisk(new TextEncoder().encode(`${"x".repeat(512)}second sector`));
    const device = new BlockDevice(guest, disk, 0x30_0000, 3);
    expect(guest.read32(0x30_0000 + blockPage.num_sectors)).toBe(2);
    guest.write32(0x30_0000 + blockPage.sector, 1);
    guest.write32(0x30_0000 + blockPage.bytes, 512);
    const dma = test.read() as number;
    const irq = device.serve(dma, () => boundBuffer(guest, 0x30_0000));
    expect([irq, guest.read32(0x30_0000 + blockPage.result), test.word(test.at("page") + 128)]).toEqual([
      7,
      blockResult.ok,
      1,
    ]);
    expect(guest.readText(test.at("page") - offset + 4096)).toBe("second sector");
    expect(test.word(test.at("page"))).toBe(512);
    expect(boundBuffer(guest, 0x30_0000)).toBeUndefined(); // filled, and not given back yet
    guest.write32(0x30_0000 + blockPage.sector, 2);
    device.serve(dma, () => undefined);
    expect(guest.read32(0x30_0000 + blockPage.result)).toBe(blockResult.failed);
    expect(file.guest).toBe(guest);
  });

  it.each([
    ["fixed", 0x1234_56ff],
    ["historic", 0xffff_ffff],
  ] as const)("L18: IN from port 0x60 gives 0xFF, in %s mode with the rest of EAX at %i", (mode, eax) => {
    const test = testGuest(
      `${init}\n mov eax, 0x12345678\n in al, 0x60\n mov [page], eax\n${report(1)}`,
      mode,
    );
    expect(test.read()).toBe(1);
    expect(test.word(test.at("page"))).toBe(eax);
  });

  it("a buffer that crosses a page ends the guest", () => {
    const test = testGuest(`${init}\n${report(1)}\n jmp $`);
    expect(test.read()).toBe(1);
    test.guest.write32(0x20_0004, 0x1ff0);
    test.guest.write32(0x20_0044, 0x40);
    expect(gather(test.guest, 0x20_0000)).toHaveLength(0);
    expect(test.guest.dead).toBe("bad DMA section 0x1ff0 length 64: it crosses a page");
  });
});

describe("/dev/lguest", () => {
  it("has one guest, one owner, and a BREAK for everybody", () => {
    const made = testHost();
    const test = made.add(`${init}\n${report(1)}\n jmp $`);
    const { file } = test;
    expect(file.write({}, [request.INITIALIZE, guestBytes / 4096, 0, 0, 0])).toBe(errno.EBUSY);
    expect(file.write({}, [request.IRQ, 1])).toBe(errno.EPERM);
    expect(test.read()).toBe(1);
    expect(test.read(5000)).toBe("budget");
    expect(file.write({}, [request.BREAK, 1])).toBe(0);
    expect(test.read()).toBe(errno.EAGAIN);
    expect(file.write({}, [request.BREAK, 0])).toBe(0);
    expect(test.read(5000)).toBe("budget");
    test.guest.kill("because");
    expect(file.write({}, [request.BREAK, 0])).toBe(errno.ENOENT);
  });
});

describe("historic mode", () => {
  it("stores CR2 of a fault before INIT at guest-physical 8", () => {
    const text = " mov eax, [0x12345678]";
    const stored = (mode: "fixed" | "historic"): number => {
      const test = testGuest(text, mode);
      test.guest.write32(8, 0);
      expect(test.read()).toBe(errno.ENOENT);
      return test.guest.read32(8);
    };
    expect([stored("fixed"), stored("historic")]).toEqual([0, 0x1234_5678]);
  });

  it("leaves the host's CR0.TS as the guest wanted it", () => {
    const taskSwitched = (mode: "fixed" | "historic"): bigint => {
      const test = testGuest(`${init}\n fldz\n${call("TS", 1)}\n${report(1)}`, mode);
      expect(test.read()).toBe(1);
      expect(test.read(2000)).toBe(errno.ENOENT);
      return test.host.state.CR0 & 8n;
    };
    expect([taskSwitched("fixed"), taskSwitched("historic")]).toEqual([0n, 8n]);
  });

  it("emulates IN for a program above page_offset, and not for a kernel below", () => {
    const outcome = (mode: "fixed" | "historic"): number | string => {
      const test = testGuest(`${withGdt}\n${toProgram("program")}\nprogram: in al, 0x60\n int3`, mode);
      openToPrograms(test);
      expect(test.read()).toBe(errno.ENOENT);
      return test.read();
    };
    expect(outcome("fixed")).toMatch(/^unhandled trap 13 .*\(0x0\)/);
    expect(outcome("historic")).toMatch(/^unhandled trap 13 .*\(0x1a\)/);
  });
});
