/** Acceptance checks of the world switch itself: L1 to L6 and L17 of the contract. */
import { describe, expect, it } from "vitest";
import { Fault } from "../../cpu/core.ts";
import { Access, walkLinear } from "../../cpu/page-walk.ts";
import { trapFrame } from "../host32/host.ts";
import { selector } from "./abi.ts";
import { call, hostRegisters, init, replaceInstruction, report, testGuest } from "./guest.fixture.ts";
import { regs, state as roState, switcherBase } from "./layout.ts";

const registers = `
        mov eax, ${selector.USER_DS}
        mov fs, eax
        mov eax, ${selector.KERNEL_DS + 1}
        mov gs, eax
        mov es, eax
        mov ebx, 0x11111111
        mov ecx, 0x22222222
        mov edx, 0x33333333
        mov esi, 0x44444444
        mov edi, 0x55555555
        mov ebp, 0x66666666`;

describe("the guest's registers", () => {
  it("L1: are in lguest_regs at their offsets after a hypercall, and the guest's again but for eax", () => {
    const test = testGuest(`
${init}
${call("LOAD_GDT", "gdt - V", 32)}
${registers}
        mov eax, 0
        int 31                          ; FLUSH_ASYNC
        push eax
        mov eax, fs
        push eax
        mov eax, gs
        push eax
        push ebx
        push ecx
        push edx
        push esi
        push edi
        push ebp
        mov [page], esp
${report(1)}`);
    let seen: Record<string, number> = {};
    const { host, guest } = test;
    host.run = (processor, budget) => {
      // At the host's first instruction behind the far call.
      if (
        host.state.low32("RIP") ===
        host.code.find(({ name }) => name === "host side")!.symbols.get("runOnce.back")
      )
        if (guest.get("ebx") === 0x1111_1111 && guest.get("trapnum") === 31)
          seen = Object.fromEntries(
            Object.entries(regs).map(([name, at]) => [name, host.memory.read32(guest.regsPage + at)]),
          );
      return processor.run(Math.min(budget, 1));
    };
    expect(test.read()).toBe(1);
    expect(seen).toMatchObject({
      ebx: 0x1111_1111,
      ecx: 0x2222_2222,
      edx: 0x3333_3333,
      esi: 0x4444_4444,
      edi: 0x5555_5555,
      ebp: 0x6666_6666,
      fs: selector.USER_DS,
      gs: selector.KERNEL_DS + 1,
      eax: 0,
      trapnum: 31,
      errcode: 0,
      cs: selector.KERNEL_CS + 1,
    });
    expect([regs.ebx, regs.eax, regs.es, regs.trapnum, regs.eip, regs.ss]).toEqual([
      0xfb8, 0xfd4, 0xfe0, 0xfe4, 0xfec, 0xffc,
    ]);
    const esp = test.word(test.at("page"));
    expect(Array.from({ length: 8 }, (_, n) => test.word(esp + 4 * n))).toEqual([
      0x6666_6666,
      0x5555_5555,
      0x4444_4444,
      0x3333_3333,
      0x2222_2222,
      0x1111_1111,
      selector.KERNEL_DS + 1,
      selector.USER_DS,
    ]);
  });

  it("L2: while it runs CPL is 1, IF is set, tables lie in the Switcher, and their page cannot be written", () => {
    const test = testGuest(`${init}\n${report(1)}`);
    const { host } = test;
    let looked = 0;
    host.run = (processor, budget) => {
      const { state } = host;
      if ((state["CS.selector"] & 3) === 1) {
        looked++;
        expect(state.RFLAGS & 0x3200n).toBe(0x200n);
        for (const base of [state["GDTR.base"], state["IDTR.base"], state["TR.base"]])
          expect(Number(base >> 12n)).toBe(test.module.switcher.cpus[0]!.linear / 4096 + 1);
        const second = BigInt(test.module.switcher.cpus[0]!.linear + 4096);
        expect(walkLinear(processor, second, Access.WRITE)).toBeInstanceOf(Fault);
        expect(walkLinear(processor, second, Access.READ)).not.toBeInstanceOf(Fault);
      }
      return processor.run(Math.min(budget, 1));
    };
    expect(test.read()).toBe(1);
    expect(looked).toBeGreaterThan(5);
  });

  it("L3: leave no trace in the host's registers and descriptor tables, whatever the exit", () => {
    const test = testGuest(
      `${init}\n${call("LOAD_GDT", "gdt - V", 32)}\n${registers}\n${report(1)}\n mov eax, [page]\n in al, 0x60\n${report(2)}\n ud2`,
    );
    const before = hostRegisters(test);
    const { host, module } = test;
    for (const outcome of [1, 2, -2]) {
      expect(test.read()).toBe(outcome);
      expect(hostRegisters(test)).toEqual(before);
      const type = (at: number): number => (host.memory.read32(at + selector.TSS + 4) >>> 8) & 0x1f;
      expect(type(host.physical(host.cpus[0]!.GDT))).toBe(0xb);
      expect(type(module.switcher.cpus[0]!.statePhysical + roState.guest_gdt)).toBe(9);
    }
    expect(test.read()).toMatch(/^unhandled trap 6 at 0xc01/);
  });
});

describe("the busy bit", () => {
  it("L4: of the host's TSS, when nobody clears it, makes the LTR of the next exit fault", () => {
    const test = testGuest(`${init}\n${report(1)}`);
    expect(replaceInstruction(test, `and byte [edx + ${selector.TSS + 5}], 0xfd`)).toBe(1);
    expect(test.read()).toMatch(/^host: exception 13 in the host kernel at 0xffc00.*error code 0x80$/);
  });

  it("L4: of the guest's TSS, when nobody clears it, makes the LTR of the next entry fault", () => {
    const test = testGuest(`${init}\n${report(1)}`);
    expect(replaceInstruction(test, `and byte [eax + ${roState.guest_gdt + selector.TSS + 5}], 0xfd`)).toBe(
      2,
    );
    expect(test.read()).toMatch(/^host: exception 13 in the host kernel at 0xffc00.*error code 0x80$/);
  });
});

describe("an interrupt of the host", () => {
  it("L5: runs the host's handler once with IF clear, returns behind the far call, and the guest goes on", () => {
    const test = testGuest(
      `${init}\n        mov ecx, 2000\n.loop:  loop .loop\n        mov [page], ecx\n${report(1)}`,
    );
    const { host, guest } = test;
    host.pc.portBus.write(0x21, 0xe9, 1); // IRQ 1 is open too
    const frames: { vector: number; eip: number; IF: bigint; guestEip: number }[] = [];
    host.onTrap = (vector, frame) =>
      frames.push({
        vector,
        eip: host.memory.read32(frame + trapFrame.eip),
        IF: host.state.RFLAGS & 0x200n,
        guestEip: guest.get("eip"),
      });
    host.onVector(33, () => host.pc.chipset.pic.line(1).set(false));
    let at = 0;
    let resumed = 0;
    host.run = (processor, budget) => {
      const inGuest = (host.state["CS.selector"] & 3) === 1;
      const rip = host.state.low32("RIP");
      if (inGuest && rip < switcherBase && at === 0 && host.state.low32("RCX") === 1000) {
        at = rip;
        host.pc.chipset.pic.line(1).set(true);
      } else if (inGuest && frames.length > 0 && resumed === 0) resumed = rip;
      return processor.run(Math.min(budget, 1));
    };
    expect(test.read()).toBe(1);
    const back = host.code.find(({ name }) => name === "host side")!.symbols.get("runOnce.back");
    expect(frames).toEqual([{ vector: 33, eip: back, IF: 0n, guestEip: at }]);
    expect(resumed).toBe(at);
    expect(guest.exits[33]).toBe(1);
    expect(test.word(test.at("page"))).toBe(0);
  });

  it("L6: when it is an NMI in the guest, is dropped without an exit", () => {
    const test = testGuest(`${init}\n        mov ecx, 100\n.loop:  loop .loop\n${report(1)}`);
    const { host, guest } = test;
    let sent = 0;
    host.run = (processor, budget) => {
      if ((host.state["CS.selector"] & 3) === 1 && host.state.low32("RCX") === 50 && sent++ === 0)
        processor.nmiPending = true;
      return processor.run(Math.min(budget, 1));
    };
    expect(test.read()).toBe(1);
    expect([sent > 0, guest.exits[2], guest.exits[31]]).toEqual([true, 0, 2]);
    expect(host.served[2]).toBe(0);
  });

  it("L6: when it is an NMI anywhere in the window of the switch, mixes no registers", () => {
    const { test, steps, outcome } = nmiEverywhere("fixed");
    expect(outcome).toBe(-2);
    expect(test.read()).toBe("all rounds\0");
    expect(steps).toBeGreaterThan(60);
  });

  it("in historic mode shuts the machine down when it is an NMI between LGDT and LIDT", () => {
    expect(nmiEverywhere("historic").outcome).toBe("host: the host shut down after a triple fault");
  });
});

/** A guest that checks all its registers after each of many hypercalls, with an NMI at the k-th instruction of the k-th switch. */
const nmiEverywhere = (mode: "fixed" | "historic") => {
  const check = (register: string, value: string): string => ` cmp ${register}, ${value}\n jne mixed\n`;
  const test = testGuest(
    `
${init}
${call("LOAD_GDT", "gdt - V", 32)}
        mov dword [page], 90
again:
${registers}
        xor eax, eax
        int 31
${check("ebx", "0x11111111")}${check("ecx", "0x22222222")}${check("edx", "0x33333333")}${check("esi", "0x44444444")}
${check("edi", "0x55555555")}${check("ebp", "0x66666666")}${check("eax", "0")}
        mov eax, fs
${check("eax", String(selector.USER_DS))}
        mov eax, gs
${check("eax", String(selector.KERNEL_DS + 1))}
${check("esp", "kernelStack")}
        dec dword [page]
        jnz again
${call("CRASH", "good - V")}
mixed:
${call("CRASH", "wrong - V")}
good:   db "all rounds", 0
wrong:  db "mixed", 0`,
    mode,
  );
  const { host, module } = test;
  const before = hostRegisters(test);
  let round = 0;
  let step = 0;
  let steps = 0;
  let inSwitcher = false;
  host.run = (processor, budget) => {
    const rip = host.state.low32("RIP");
    const within = rip >= switcherBase && rip < module.switcher.end && (host.state["CS.selector"] & 3) === 0;
    if (within && !inSwitcher && rip === switcherBase) {
      round++;
      step = 0;
    }
    inSwitcher = within;
    if (within && ++step === round) {
      processor.nmiPending = true;
      steps++;
    }
    return processor.run(Math.min(budget, 1));
  };
  const outcome = test.read();
  if (mode === "fixed") expect(hostRegisters(test)).toEqual(before);
  return { test, steps, outcome };
};

describe("a segment that cannot be loaded", () => {
  const withBadFs = (mode: "fixed" | "historic") => {
    const test = testGuest(`${init}\n${report(1)}\n${report(2)}`, mode);
    expect(test.read()).toBe(1);
    test.guest.set("fs", 0x33); // TLS entry 6, which is not present
    return test;
  };

  it("L17: popped into FS, ends the guest and not the host", () => {
    const test = withBadFs("fixed");
    const before = hostRegisters(test);
    expect([test.read(), test.read()]).toEqual([
      -2,
      "fault in switcher: its registers could not be loaded\0",
    ]);
    expect(hostRegisters(test)).toEqual(before);
  });

  it("L17: in historic mode takes another page for the guest's, and the host with it", () => {
    expect(withBadFs("historic").read()).toMatch(/^host: /);
  });

  it("L17: for IRET, on a kernel stack that is none, ends the guest and not the host", () => {
    const test = withBadFs("fixed");
    test.guest.set("fs", 0);
    test.guest.set("ss", 0x31);
    expect([test.read(), test.read()]).toEqual([
      -2,
      "fault in switcher: its registers could not be loaded\0",
    ]);
  });

  it("L17: that a guest takes away while FS holds it, is zeroed there", () => {
    const test = testGuest(`
${init}
        mov eax, [gdt + 8 * 15]
        mov [gdt + 8 * 6], eax
        mov eax, [gdt + 8 * 15 + 4]
        mov [gdt + 8 * 6 + 4], eax
${call("LOAD_GDT", "gdt - V", 32)}
        mov eax, 0x33
        mov fs, eax
${call("LOAD_TLS", "page - V")}
        mov eax, fs
        mov [page], eax
${report(1)}`);
    expect(test.read()).toBe(1);
    expect(test.word(test.at("page"))).toBe(0);
  });
});
