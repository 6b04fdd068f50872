import { describe, expect, it } from "vitest";
import { assemble, type BootOptions, Machine, type MachineOptions } from "../../src/api/index.ts";

const code = (source: string, codeSize: 16 | 32 | 64 = 16): Uint8Array => {
  const assembly = assemble(source, { codeSize, origin: 0x7c00 });
  if (assembly.kind === "errors") throw new Error(JSON.stringify(assembly.errors));
  return assembly.bytes;
};

/** Prints `text` on COM1, then falls through. */
const print = (text: string): string => `
        mov si, message
        mov dx, 0x3f8
letter: lodsb
        test al, al
        jz printed
        out dx, al
        jmp letter
message: db "${text}", 0
printed:`;
const exit = (value: number): string => `mov al, ${value}\n out 0xf4, al\n hlt`;

const started = async (
  source: string,
  options: MachineOptions = {},
  boot: Partial<BootOptions> = {},
): Promise<{ machine: Machine; output: () => string }> => {
  const machine = await Machine.create({ memoryMiB: 1, ...options });
  let output = "";
  machine.serial.on("data", (bytes) => {
    output += new TextDecoder().decode(bytes);
  });
  const outcome = await machine.boot({ image: code(source), protocol: "flat", ...boot });
  if (outcome.message !== undefined) throw new Error(outcome.message);
  return { machine, output: () => output };
};

describe("a machine's run", () => {
  it("ends with the status the guest writes to port 0xf4, after all output was told", async () => {
    const { machine, output } = await started(`${print("Hello")}\n${exit(5)}`);
    expect(await machine.run()).toMatchObject({ reason: "debug-exit", exitStatus: 11, instructions: 32 });
    expect(output()).toBe("Hello");
  });

  it("ends at the instruction that completes the awaited text", async () => {
    const { machine, output } = await started(`${print("one two three")}\n${exit(0)}`);
    expect(await machine.run({ until: "two" })).toMatchObject({ reason: "until", exitStatus: 0 });
    expect(output()).toBe("one two");
    expect((await machine.run()).reason).toBe("debug-exit");
    expect(output()).toBe("one two three");
  });

  it("ends after exactly as many instructions as it may take", async () => {
    const { machine } = await started("again: inc eax\n jmp again");
    const result = await machine.run({ maxInstructions: 1_000_001 });
    expect(result).toMatchObject({ reason: "instruction-limit", exitStatus: 124, instructions: 1_000_001 });
    expect(machine.registers.get("RAX")).toBe(500_001n);
  });

  it("ends when its time is up", async () => {
    const { machine } = await started("again: jmp again");
    expect(await machine.run({ timeout: 0.02 })).toMatchObject({ reason: "time-out", exitStatus: 124 });
  });

  it("ends with 3 after a triple fault, and the machine stays off", async () => {
    const { machine } = await started("lidt [nothing]\n int3\n nothing: dw 0, 0, 0");
    const expected = { reason: "triple-fault", exitStatus: 3 };
    expect(await machine.run()).toMatchObject(expected);
    expect(await machine.run()).toMatchObject({ ...expected, instructions: 0 });
  });

  it("ends when the guest halts with interrupts off, and does not hang", async () => {
    const { machine } = await started("cli\n hlt");
    expect(await machine.run()).toMatchObject({ reason: "halted", instructions: 2 });
  });

  it("ends when the guest halts with interrupts off while a timer ticks", async () => {
    const { machine } = await started(
      "mov al, 0x34\n out 0x43, al\n xor al, al\n out 0x40, al\n out 0x40, al\n cli\n hlt",
    );
    expect((await machine.run({ timeout: 20 })).reason).toBe("halted");
  });

  it("is ended by pause, and goes on", async () => {
    const { machine } = await started("again: jmp again");
    setTimeout(() => machine.pause(), 5);
    expect((await machine.run()).reason).toBe("paused");
    expect(await machine.run({ maxInstructions: 10 })).toMatchObject({ instructions: 10 });
  });

  it("restarts the image when the guest resets, and counts on", async () => {
    const source = `inc byte [0x500]\n cmp byte [0x500], 3\n je third\n mov al, 0xfe\n out 0x64, al\n third: ${exit(0)}`;
    const { machine } = await started(source);
    expect(await machine.run({ timeout: 20 })).toMatchObject({
      reason: "debug-exit",
      instructions: 2 * 5 + 5,
    });
    expect(machine.stats()).toMatchObject({ resets: 2, instructions: 15 });
    const stopping = await started(source, { onReset: "stop" });
    expect((await stopping.machine.run({ timeout: 20 })).reason).toBe("reset");
  });
});

/** Echoes COM1 in capitals, by polling; "q" ends it. */
const echo = `
        mov dx, 0x3fd
poll:   in al, dx
        test al, 1
        jz poll
        mov dx, 0x3f8
        in al, dx
        cmp al, 'q'
        je done
        and al, 0xdf
        out dx, al
        mov dx, 0x3fd
        jmp poll
done:   ${exit(0)}`;

describe("a machine's serial port", () => {
  it("takes more input than its chip has room for, and loses none", async () => {
    const { machine, output } = await started(echo);
    machine.serial.write("abcdefghijklmnopqrstuvwxyz".replace("q", "").repeat(20));
    machine.serial.write(new TextEncoder().encode("q"));
    expect((await machine.run({ timeout: 20 })).reason).toBe("debug-exit");
    expect(output()).toBe("ABCDEFGHIJKLMNOPRSTUVWXYZ".repeat(20));
  });

  it("tells a listener no more once it is taken off", async () => {
    const { machine } = await started(`${print("Hello")}\n${exit(0)}`);
    const heard: number[] = [];
    const listener = (bytes: Uint8Array) => heard.push(...bytes);
    machine.serial.on("data", listener);
    await machine.run({ until: "He" });
    machine.serial.off("data", listener);
    await machine.run();
    expect(heard).toEqual([..."He"].map((letter) => letter.charCodeAt(0)));
  });

  it("holds the machine while a listener's promise is pending", async () => {
    const { machine } = await started(`${print("x")}\n again: inc eax\n jmp again`);
    const instructionsWhileWaiting: number[] = [];
    machine.serial.on("data", async () => {
      instructionsWhileWaiting.push(machine.stats().instructions);
      await new Promise((resolve) => setTimeout(resolve, 30));
      instructionsWhileWaiting.push(machine.stats().instructions);
      machine.pause();
    });
    await machine.run();
    expect(instructionsWhileWaiting[0]).toBe(instructionsWhileWaiting[1]);
  });
});

describe("a machine's determinism", () => {
  it("gives the same hash for the same run, however it is cut, on both tiers", async () => {
    const source = `${print("Hello")}\n mov cx, 500\n sum: add ebx, ecx\n rol ebx, 5\n push bx\n loop sum\n ${exit(0)}`;
    const whole = await started(source);
    await whole.machine.run();
    const cut = await started(source);
    for (let n = 0; n < 6; n++) await cut.machine.run({ maxInstructions: 301 });
    await cut.machine.run();
    const evaluated = await started(source, { tier: "evaluator" });
    await evaluated.machine.run();
    expect(cut.machine.hash()).toBe(whole.machine.hash());
    expect(evaluated.machine.hash()).toBe(whole.machine.hash());
    whole.machine.memory.write(0x9000, Uint8Array.of(1));
    expect(whole.machine.hash()).not.toBe(cut.machine.hash());
  });

  it("repeats a run from its input log", async () => {
    const first = await started(echo);
    const typed = ["some", "words", "q"];
    first.machine.serial.on("data", () => undefined);
    const run = first.machine.run({ timeout: 20 });
    for (const word of typed) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      first.machine.serial.write(word);
    }
    const result = await run;
    expect(result.reason).toBe("debug-exit");
    const second = await started(echo, { replay: first.machine.inputLog });
    expect(await second.machine.run({ timeout: 20 })).toMatchObject({
      reason: "debug-exit",
      instructions: result.instructions,
    });
    expect(second.output()).toBe(first.output());
    expect(second.machine.hash()).toBe(first.machine.hash());
  });
});

/** Waits for `ticks` interrupts of the 8254 at 100 Hz with HLT. */
const sleeper = (ticks: number): string => `
        cli
        mov word [8 * 4], tick
        mov word [8 * 4 + 2], 0
        mov al, 0x11
        out 0x20, al
        mov al, 8
        out 0x21, al
        mov al, 4
        out 0x21, al
        mov al, 1
        out 0x21, al
        mov al, 0xfe
        out 0x21, al
        mov al, 0x34
        out 0x43, al
        mov al, 0x9c
        out 0x40, al
        mov al, 0x2e
        out 0x40, al
        sti
sleep:  hlt
        cmp cx, ${ticks}
        jb sleep
        ${exit(0)}
tick:   inc cx
        mov al, 0x20
        out 0x20, al
        iret`;

describe("a halted guest", () => {
  it("sleeps as long as real time says, when told to", async () => {
    const { machine } = await started(sleeper(10), { realTime: true });
    const { reason, seconds } = await machine.run({ timeout: 20 });
    expect(reason).toBe("debug-exit");
    expect(seconds).toBeGreaterThan(0.08);
    expect(machine.stats().virtualSeconds).toBeGreaterThan(0.09);
    const again = await started(sleeper(10), { replay: machine.inputLog });
    expect((await again.machine.run({ timeout: 20 })).reason).toBe("debug-exit");
    expect(again.machine.hash()).toBe(machine.hash());
  });

  it("jumps to its next event otherwise", async () => {
    const { machine } = await started(sleeper(1000));
    const { reason, seconds } = await machine.run({ timeout: 20 });
    expect(reason).toBe("debug-exit");
    expect(machine.stats().virtualSeconds).toBeCloseTo(10, 0);
    expect(seconds).toBeLessThan(5);
  });

  it("is waited for while input may come", async () => {
    const { machine } = await started("sti\n again: hlt\n jmp again", { realTime: true });
    setTimeout(() => {
      machine.expectInput = false;
    }, 20);
    expect((await machine.run({ timeout: 20 })).reason).toBe("halted");
  });
});

describe("a machine's registers and memory", () => {
  it("can be read and written by the SDM's names", async () => {
    const { machine } = await started("mov ax, [0x500]\n hlt");
    machine.memory.write(0x500, Uint8Array.of(0x34, 0x12));
    machine.registers.set("XMM3", (1n << 127n) | 5n);
    machine.registers.set("RBX", -1n);
    await machine.run();
    const registers = machine.registers.all();
    expect(registers).toMatchObject({ RAX: 0x1234n, RBX: (1n << 64n) - 1n, RIP: 0x7c04n, "CS.selector": 0n });
    expect(registers["XMM3"]).toBe((1n << 127n) | 5n);
    expect(machine.memory.read(0x7c00, 3)).toEqual(Uint8Array.of(0xa1, 0x00, 0x05));
    expect(() => machine.registers.get("EAX")).toThrow(/no register "EAX"/);
  });
});
