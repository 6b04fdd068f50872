import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { assemble, type BootOptions, Machine, type MachineOptions, MemoryDisk } from "../../src/api/index.ts";
import { RegionFrame } from "../../src/codegen/region/region-frame.ts";
import { RegionPlace } from "../../src/codegen/region/region-place.ts";
import { engineDefaults } from "../../src/cpu/execution-engine.ts";

const code = (source: string): Uint8Array => {
  const assembly = assemble(source, { codeSize: 64, origin: 0x7c00 });
  if (assembly.kind === "errors") throw new Error(JSON.stringify(assembly.errors));
  return assembly.bytes;
};

const started = async (
  source: string,
  options: MachineOptions = {},
  boot: Partial<BootOptions> = {},
): Promise<{ machine: Machine; output: () => string }> => {
  const machine = await Machine.create({ memoryMiB: 2, tier: "both", ...options });
  let output = "";
  machine.serial.on("data", (bytes) => {
    output += new TextDecoder().decode(bytes);
  });
  const outcome = await machine.boot({ image: code(source), protocol: "flat", mode: "long64", ...boot });
  if (outcome.message !== undefined) throw new Error(outcome.message);
  return { machine, output: () => output };
};

/** Work for about four million instructions, with loads, stores, a call and flags; a letter is sent every 1000 turns. */
const work = `
        mov rsp, 0x9000
        mov ecx, 150000
again:  add rax, 13
        imul rbx, rax, 31
        xor rdx, rbx
        mov [0xa000 + rcx], rdx
        mov esi, [0xa004 + rcx]
        call mix
        cmp rsi, rbx
        adc rdi, 0
        dec ecx
        jnz again
        mov al, 5
        out 0xf4, al
        hlt
mix:    push rax
        rol rdx, 7
        test ecx, 1023
        jnz quiet
        mov dx, 0x3f8
        mov al, 'a'
        out dx, al
quiet:  pop rax
        ret`;

describe("the JIT and the interpreter side by side", () => {
  beforeEach(() => {
    engineDefaults.eager = true;
  });
  afterEach(() => {
    engineDefaults.eager = false;
    vi.restoreAllMocks();
  });

  it("run to the same end as the JIT alone, with the same output and hash", async () => {
    const both = await started(work);
    const result = await both.machine.run();
    expect(result).toMatchObject({ reason: "debug-exit", exitStatus: 11 });
    const alone = await started(work, { tier: "jit" });
    expect(await alone.machine.run()).toMatchObject({ instructions: result.instructions });
    expect(both.output()).toBe(alone.output());
    expect(both.output().length).toBe(146);
    expect(both.machine.hash()).toBe(alone.machine.hash());
  });

  it("stop together at an awaited text and after a number of instructions, and go on", async () => {
    const { machine, output } = await started(work);
    expect((await machine.run({ until: "aaa" })).reason).toBe("until");
    expect(output()).toBe("aaa");
    expect(await machine.run({ maxInstructions: 123_457 })).toMatchObject({
      reason: "instruction-limit",
      instructions: 123_457,
    });
    machine.registers.set("RDI", 77n);
    machine.memory.write(0x8f00, Uint8Array.of(1, 2, 3));
    expect((await machine.run()).reason).toBe("debug-exit");
  });

  it("are given the same input, and read what is written on one disk", async () => {
    const echo = `
        mov dx, 0x3fd
wait:   in al, dx
        test al, 1
        jz wait
        mov dx, 0x3f8
        in al, dx
        out dx, al
        cmp al, 'q'
        mov dx, 0x3fd
        jne wait
        hlt`;
    const { machine, output } = await started(echo, { disks: [new MemoryDisk(4096)], realTime: true });
    machine.serial.write("words q");
    const run = machine.run({ timeout: 20, until: "q" });
    expect((await run).reason).toBe("until");
    expect(output()).toBe("words q");
  });

  it("start again together after a reset", async () => {
    const { machine } = await started(
      "inc dword ptr [0x100000]\ncmp dword ptr [0x100000], 3\nje enough\nmov al, 0xfe\nout 0x64, al\nhlt\nenough: out 0xf4, al\nhlt",
    );
    expect((await machine.run()).reason).toBe("debug-exit");
    expect(machine.stats().resets).toBe(2);
  });

  it("need no difference between processors that take turns", async () => {
    const { machine } = await started(work, { processors: 2 });
    expect((await machine.run()).reason).toBe("debug-exit");
  });

  const { immediate, writeOperand } = RegionPlace.prototype;
  const { setGeneral, writeLazy } = RegionFrame.prototype;
  /** What an emitter could do wrong, and what is different then. */
  const mutations: readonly { readonly fault: string; readonly break: () => void; readonly says: RegExp }[] =
    [
      {
        fault: "takes another immediate",
        break: () =>
          vi.spyOn(RegionPlace.prototype, "immediate").mockImplementation(function (
            this: RegionPlace,
            width,
          ) {
            immediate.call(this, width);
            if (width === 64) this.code.i64(1n).op("i64.add");
          }),
        says: /R\w+ of processor 0 is 0x\w+ with the JIT and 0x\w+ with the interpreter/,
      },
      {
        fault: "forgets a register on the way out",
        break: () => {
          vi.spyOn(RegionFrame.prototype, "setGeneral").mockImplementation(function (
            this: RegionFrame,
            number,
          ) {
            // The local gets the value, the state never does.
            if (number === 7) this.code.set(this.general(number));
            else Reflect.apply(setGeneral, this, [number]);
          });
        },
        says: /RDI of processor 0 is/,
      },
      {
        fault: "stores the wrong flags",
        break: () =>
          vi.spyOn(RegionFrame.prototype, "writeLazy").mockImplementation(function (
            this: RegionFrame,
            lazy,
            input,
          ) {
            writeLazy.call(this, lazy, (index) => {
              input(index);
              if (lazy.inputs[index]!.width === 64) this.code.i64(0n).op("i64.and");
            });
          }),
        says: /R\w+ of processor 0 is/,
      },
      {
        fault: "writes a register that is not the instruction's",
        break: () =>
          vi.spyOn(RegionPlace.prototype, "writeOperand").mockImplementation(function (
            this: RegionPlace,
            index,
            width,
            push,
          ) {
            writeOperand.call(this, index, width, push);
            if (width === 64)
              this.code
                .i32(0)
                .i64(9n)
                .memory("i64.store", 8 * 15);
          }),
        says: /R15 of processor 0 is 0x9 with the JIT and 0x0 with the interpreter/,
      },
    ];

  it.each(mutations)("are stopped where a region emitter $fault", async ({ break: breakIt, says }) => {
    breakIt();
    const { machine } = await started(work);
    const result = await machine.run();
    expect(result).toMatchObject({ reason: "tiers-differ", exitStatus: 4 });
    expect(result.difference).toMatch(says);
    const [, after, agreed] =
      /^after instruction (\d+), the two having agreed at instruction (\d+) and RIP 0x/.exec(
        result.difference!,
      )!;
    // No further apart than one run of translated code.
    expect(Number(after)).toBeGreaterThan(Number(agreed));
    expect(Number(after) - Number(agreed)).toBeLessThan(17_000);
    expect((await machine.run()).reason).toBe("tiers-differ");
  });

  it("tell a byte of memory that is different, and between which instructions it has become so", async () => {
    vi.spyOn(RegionPlace.prototype, "immediate").mockImplementation(function (this: RegionPlace, width) {
      // Only what the program never looks at again.
      immediate.call(this, width);
      if (width === 32) this.code.i32(1).op("i32.add");
    });
    const { machine } = await started(
      "mov ecx, 100000\nagain: mov dword ptr [0xa000 + rcx*4], 5\ndec ecx\njnz again\nout 0xf4, al\nhlt",
    );
    const result = await machine.run();
    expect(result.reason).toBe("tiers-differ");
    expect(result.difference).toMatch(
      /^between instruction 0 and instruction \d+ the byte at 0x\w+ of memory has become 0x6 with the JIT and 0x5 with the interpreter$/,
    );
  });
});
