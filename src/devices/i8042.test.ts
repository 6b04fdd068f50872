import { beforeEach, describe, expect, it } from "vitest";
import { I8042 } from "./i8042.ts";
import { Ps2Keyboard } from "./ps2-keyboard.ts";
import { Ps2Mouse } from "./ps2-mouse.ts";

let controller: I8042;
let keyboard: Ps2Keyboard;
let mouse: Ps2Mouse;
let lines: { keyboard: boolean; aux: boolean };
/** Rising edges of IRQ1 and IRQ12. */
let edges: { keyboard: number; aux: number };
let resets: number;
let a20: boolean | undefined;

const line = (name: "keyboard" | "aux") => ({
  set(asserted: boolean) {
    if (asserted && !lines[name]) edges[name]++;
    lines[name] = asserted;
  },
});
const command = (byte: number) => controller.commandPort.write(0, byte, 1);
const write = (byte: number) => controller.dataPort.write(0, byte, 1);
const read = () => controller.dataPort.read(0, 1);
const status = () => controller.commandPort.read(0, 1);
/** Everything that port 0x60 has to give, `a` marking the auxiliary device. */
const drain = () => {
  const bytes: string[] = [];
  for (let seen = status(); seen & 1; seen = status())
    bytes.push((seen & 0x20 ? "a" : "") + read().toString(16));
  return bytes.join(" ");
};
const setCTR = (byte: number) => {
  command(0x60);
  write(byte);
};
const toMouse = (byte: number) => {
  command(0xd4);
  write(byte);
};

beforeEach(() => {
  lines = { keyboard: false, aux: false };
  edges = { keyboard: 0, aux: 0 };
  resets = 0;
  a20 = undefined;
  keyboard = new Ps2Keyboard();
  mouse = new Ps2Mouse();
  controller = new I8042({
    keyboardIrq: line("keyboard"),
    auxIrq: line("aux"),
    keyboard,
    aux: mouse,
    reset: () => void resets++,
    a20: (open) => void (a20 = open),
  });
});

describe("8042 commands", () => {
  it.each([
    ["self-test", 0xaa, "55"],
    ["keyboard interface test", 0xab, "0"],
    ["auxiliary interface test", 0xa9, "0"],
    ["password test", 0xa4, "f1"],
    ["read input port", 0xc0, "80"],
    ["read output port", 0xd0, "cf"],
    ["read test inputs", 0xe0, "0"],
    ["read command byte", 0x20, "43"],
    ["an unknown command", 0xb0, ""],
  ])("%s", (_name, byte, answer) => {
    command(byte);
    expect(drain()).toBe(answer);
  });
  it("keep the command byte and the RAM behind it", () => {
    setCTR(0x74);
    command(0x75);
    write(0x99);
    command(0x20);
    expect(drain()).toBe("74");
    command(0x35);
    expect(drain()).toBe("99");
  });
  it("enable and disable the ports in the command byte", () => {
    command(0xad);
    command(0xa7);
    command(0x20);
    expect(drain()).toBe("73");
    command(0xae);
    command(0xa8);
    command(0x20);
    expect(drain()).toBe("43");
  });
  it("show in the status what was written last and the system flag", () => {
    expect(status()).toBe(0x10);
    command(0xaa);
    expect(status()).toBe(0x1d);
    read();
    write(0xee);
    expect(status()).toBe(0x15);
  });
  it("write either output buffer, as Linux probes for an auxiliary port", () => {
    command(0xd3);
    write(0x5a);
    expect(status() & 0x21).toBe(0x21);
    expect([{ ...lines }, read()]).toEqual([{ keyboard: false, aux: true }, 0x5a]);
    command(0xd2);
    write(0xa5);
    expect([{ ...lines }, drain()]).toEqual([{ keyboard: true, aux: false }, "a5"]);
  });
  it("never grow: a new answer replaces one that was not read", () => {
    for (let i = 0; i < 1000; i++) {
      command(0xd2);
      write(i & 0xff);
    }
    expect(drain()).toBe("0 e7");
  });
  it("give the last byte again while the buffer is empty", () => {
    command(0xaa);
    expect([read(), read()]).toEqual([0x55, 0x55]);
  });
});

describe("8042 output port", () => {
  it.each([0xfe, 0xf0])("command %i pulses the reset line", (byte) => {
    command(byte);
    expect(resets).toBe(1);
  });
  it("pulsing other lines resets nothing", () => {
    for (const byte of [0xff, 0xfd, 0xf1]) command(byte);
    expect(resets).toBe(0);
  });
  it("drives A20 and reset", () => {
    command(0xd1);
    write(0xdd);
    expect([a20, controller.a20, resets]).toEqual([false, false, 0]);
    command(0xdf);
    expect(a20).toBe(true);
    command(0xdd);
    expect(a20).toBe(false);
    command(0xd1);
    write(0xde);
    expect(resets).toBe(1);
    controller.reset();
    expect(a20).toBe(true);
  });
  it("shows the interrupt lines in bits 4 and 5", () => {
    keyboard.press("KeyA");
    command(0xd0);
    expect(drain()).toBe("1e df");
  });
});

describe("8042 keyboard port", () => {
  it("translates to set 1 and raises IRQ1 for every byte", () => {
    keyboard.press("ArrowUp");
    keyboard.release("ArrowUp");
    expect(drain()).toBe("e0 48 e0 c8");
    expect([edges.keyboard, lines.keyboard]).toEqual([4, false]);
  });
  it("passes set 2 through without translation", () => {
    setCTR(0x01);
    keyboard.press("KeyA");
    keyboard.release("KeyA");
    expect(drain()).toBe("1c f0 1c");
  });
  it("identifies the keyboard as drivers know it, translated and not", () => {
    write(0xf2);
    expect(drain()).toBe("fa ab 41");
    setCTR(0x01);
    write(0xf2);
    expect(drain()).toBe("fa ab 83");
    write(0xff);
    expect(drain()).toBe("fa aa");
  });
  it("raises no interrupt when the command byte says so, and raises it when enabled later", () => {
    setCTR(0x40);
    keyboard.press("KeyA");
    expect(lines.keyboard).toBe(false);
    setCTR(0x41);
    expect(lines.keyboard).toBe(true);
  });
  it("keeps keys while disabled, and talking to the keyboard enables it", () => {
    command(0xad);
    keyboard.press("KeyA");
    expect(status() & 1).toBe(0);
    write(0xee);
    expect(drain()).toBe("ee 1e");
  });
});

describe("8042 auxiliary port", () => {
  it("answers on IRQ12 with the auxiliary flag", () => {
    toMouse(0xff);
    expect(lines).toEqual({ keyboard: false, aux: true });
    expect(drain()).toBe("afa aaa a0");
    expect(edges).toEqual({ keyboard: 0, aux: 3 });
  });
  it("holds the mouse's bytes while disabled", () => {
    command(0xa7);
    toMouse(0xf2);
    expect(drain()).toBe("");
    command(0xa8);
    expect(drain()).toBe("afa a0");
  });
  it("lets the keyboard go first and mixes no bytes up", () => {
    toMouse(0xf4);
    keyboard.press("KeyA");
    expect(drain()).toBe("afa 1e");
    mouse.move(1, 2, 0);
    expect(drain()).toBe("a8 a1 a2");
  });
});

describe("8042 snapshot", () => {
  it("restores the lines and the bytes under way", () => {
    keyboard.press("KeyA");
    keyboard.press("KeyB");
    const [ours, keys] = structuredClone([controller.state, keyboard.state] as const);
    drain();
    controller.reset();
    keyboard.reset();
    expect(lines.keyboard).toBe(false);
    keyboard.state = keys;
    controller.state = ours;
    controller.driveOutputs();
    expect(lines.keyboard).toBe(true);
    expect(drain()).toBe("1e 30");
  });
});
