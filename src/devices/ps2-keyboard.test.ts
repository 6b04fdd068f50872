import { beforeEach, describe, expect, it } from "vitest";
import { Ps2Keyboard } from "./ps2-keyboard.ts";

let keyboard: Ps2Keyboard;
const drain = () => {
  const bytes: number[] = [];
  for (let byte = keyboard.send(); byte !== undefined; byte = keyboard.send()) bytes.push(byte);
  return bytes;
};
const ask = (...bytes: number[]) =>
  bytes.flatMap((byte) => {
    keyboard.receive(byte);
    return drain();
  });

beforeEach(() => {
  keyboard = new Ps2Keyboard();
});

describe("PS/2 keyboard commands", () => {
  it.each([
    ["reset", [0xff], [0xfa, 0xaa]],
    ["identify", [0xf2], [0xfa, 0xab, 0x83]],
    ["echo", [0xee], [0xee]],
    ["LEDs", [0xed, 0x05], [0xfa, 0xfa]],
    ["typematic rate", [0xf3, 0x20], [0xfa, 0xfa]],
    ["which scan code set", [0xf0, 0x00], [0xfa, 0xfa, 0x02]],
    ["a scan code set that does not exist", [0xf0, 0x04], [0xfa, 0xfe]],
    ["an unknown command", [0xef], [0xfe]],
  ])("%s", (_name, bytes, replies) => {
    expect(ask(...bytes)).toEqual(replies);
  });
  it("stores LEDs and typematic rate until the defaults come back", () => {
    ask(0xed, 0x07, 0xf3, 0x7f);
    expect([keyboard.state.statusIndicators, keyboard.state.typematic]).toEqual([7, 0x7f]);
    ask(0xf6);
    expect(keyboard.state.typematic).toBe(0x2b);
  });
  it("takes a command in the place of an argument", () => {
    expect(ask(0xed, 0xf2)).toEqual([0xfa, 0xfa, 0xab, 0x83]);
    expect(ask(0x01)).toEqual([0xfe]);
  });
  it("sends the last byte again on request", () => {
    ask(0xf2);
    expect(ask(0xfe)).toEqual([0x83]);
  });
  it("a new command ends the reply to the last", () => {
    keyboard.receive(0xf2);
    keyboard.receive(0xee);
    expect(drain()).toEqual([0xee]);
  });
  it("replies before it sends the keys that wait", () => {
    keyboard.press("KeyA");
    expect(ask(0xed)).toEqual([0xfa, 0x1c]);
  });
  it("tells the controller when it has something to say", () => {
    let called = 0;
    keyboard.attach(() => called++);
    keyboard.press("KeyA");
    keyboard.receive(0xee);
    expect(called).toBe(2);
  });
});

describe("PS/2 keyboard keys", () => {
  it("are silent while scanning is disabled", () => {
    ask(0xf5);
    keyboard.press("KeyA");
    expect(drain()).toEqual([]);
    ask(0xf4);
    keyboard.press("KeyA");
    expect(drain()).toEqual([0x1c]);
  });
  it("come in the chosen set", () => {
    const pressed = () => {
      keyboard.press("ArrowUp");
      keyboard.release("ArrowUp");
      return drain();
    };
    expect(pressed()).toEqual([0xe0, 0x75, 0xe0, 0xf0, 0x75]);
    ask(0xf0, 0x01);
    expect(pressed()).toEqual([0xe0, 0x48, 0xe0, 0xc8]);
    ask(0xf0, 0x03);
    expect(pressed()).toEqual([0x63]);
  });
  it("of set 3 break when told to, all or one by one", () => {
    ask(0xf0, 0x03);
    const breaks = (key: "KeyA" | "KeyB" | "ShiftLeft") => {
      keyboard.release(key);
      return drain();
    };
    expect([breaks("KeyA"), breaks("ShiftLeft")]).toEqual([[], [0xf0, 0x12]]);
    ask(0xfc, 0x1c);
    expect([breaks("KeyA"), breaks("KeyB")]).toEqual([[0xf0, 0x1c], []]);
    ask(0xfa);
    expect(breaks("KeyB")).toEqual([0xf0, 0x32]);
    ask(0xf9);
    expect(breaks("ShiftLeft")).toEqual([]);
  });
  it("beyond the buffer become one overrun byte, and the host can know", () => {
    for (let i = 0; i < 40; i++) keyboard.press("KeyA");
    expect(keyboard.canPress).toBe(false);
    const bytes = drain();
    expect(bytes).toEqual([...new Array(15).fill(0x1c), 0x00]);
    expect(keyboard.canPress).toBe(true);
  });
});
