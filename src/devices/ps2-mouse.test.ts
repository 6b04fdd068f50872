import { beforeEach, describe, expect, it } from "vitest";
import { MOUSE_BUTTON, Ps2Mouse } from "./ps2-mouse.ts";

let mouse: Ps2Mouse;
const drain = () => {
  const bytes: number[] = [];
  for (let byte = mouse.send(); byte !== undefined; byte = mouse.send()) bytes.push(byte);
  return bytes;
};
const ask = (...bytes: number[]) =>
  bytes.flatMap((byte) => {
    mouse.receive(byte);
    return drain();
  });

beforeEach(() => {
  mouse = new Ps2Mouse();
});

describe("PS/2 mouse commands", () => {
  it.each([
    ["reset", [0xff], [0xfa, 0xaa, 0x00]],
    ["identify", [0xf2], [0xfa, 0x00]],
    [
      "IntelliMouse knock, which this is not",
      [0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2],
      [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0x00],
    ],
    [
      "status",
      [0xe8, 0x03, 0xf3, 60, 0xe7, 0xf4, 0xe9],
      [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0x30, 3, 60],
    ],
    ["wrap mode echoes", [0xee, 0xf2, 0x12, 0xec, 0xf2], [0xfa, 0xf2, 0x12, 0xfa, 0xfa, 0x00]],
    ["an unknown command", [0xe1], [0xfe]],
    ["resend", [0xf2, 0xfe], [0xfa, 0x00, 0xfa, 0x00]],
    ["poll", [0xf0, 0xeb], [0xfa, 0xfa, 0x08, 0, 0]],
  ])("%s", (_name, bytes, replies) => {
    expect(ask(...bytes)).toEqual(replies);
  });
});

describe("PS/2 mouse movement", () => {
  it("is reported only when enabled, in packets of nine-bit counts", () => {
    mouse.move(5, -3, 0);
    expect(drain()).toEqual([]);
    ask(0xff, 0xf4);
    mouse.move(5, -3, MOUSE_BUTTON.LEFT);
    expect(drain()).toEqual([0x29, 5, 0xfd]);
    mouse.move(0, 0, 0);
    expect(drain()).toEqual([0x08, 0, 0]);
    mouse.move(0, 0, 0);
    expect(drain()).toEqual([]);
  });
  it("larger than a packet takes several", () => {
    ask(0xf4);
    mouse.move(300, -256, 0);
    expect(drain()).toEqual([0x28, 255, 1, 0x28, 45, 0xff]);
  });
  it("in scaling 2:1 follows the manual's table", () => {
    ask(0xe7, 0xf4);
    const first = [1, 2, 3, 4, 5, 6].map((count) => {
      mouse.move(count, 0, 0);
      return drain()[1];
    });
    expect(first).toEqual([1, 1, 3, 6, 9, 12]);
  });
  it("waits for a poll in remote mode", () => {
    ask(0xf0, 0xf4);
    mouse.move(1, 1, 0);
    expect(drain()).toEqual([]);
    expect(ask(0xeb)).toEqual([0xfa, 0x08, 1, 1]);
  });
  it("never grows while nobody reads", () => {
    ask(0xf4);
    for (let i = 0; i < 1000; i++) mouse.move(1e9, -1e9, i & 7);
    expect(JSON.stringify(mouse.state).length).toBeLessThan(400);
  });
});
