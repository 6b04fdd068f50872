import { describe, expect, it } from "vitest";
import { type Input, InputRecorder } from "./input-log.ts";

describe("The record of inputs", () => {
  it("gives back what was given, in order", () => {
    const record = new InputRecorder();
    const serial: Input = { kind: "serial", port: 1, bytes: Uint8Array.of(13) };
    const console: Input = { kind: "console", bytes: Uint8Array.of(1, 2) };
    record.add(0, 0, true, { kind: "time", ns: 0 });
    record.add(2 ** 40, 2 ** 50, false, serial);
    record.add(2 ** 40, 2 ** 50, true, console);
    record.add(2 ** 40, 2 ** 50, true, { kind: "time", ns: 2 ** 51 });
    expect(record.inputs()).toEqual([
      { instruction: 0, virtualNs: 0, idle: true, input: { kind: "time", ns: 0 } },
      { instruction: 2 ** 40, virtualNs: 2 ** 50, idle: false, input: serial },
      { instruction: 2 ** 40, virtualNs: 2 ** 50, idle: true, input: console },
      { instruction: 2 ** 40, virtualNs: 2 ** 50, idle: true, input: { kind: "time", ns: 2 ** 51 } },
    ]);
  });

  it("keeps what an idle guest is given in hours", () => {
    const record = new InputRecorder();
    for (let n = 0; n < 1000; n++) record.add(n, n, true, { kind: "time", ns: n + 1 });
    const inputs = record.inputs();
    expect(inputs).toHaveLength(1000);
    expect(inputs[999]).toEqual({
      instruction: 999,
      virtualNs: 999,
      idle: true,
      input: { kind: "time", ns: 1000 },
    });
  });

  it("is empty after it was cleared", () => {
    const record = new InputRecorder();
    record.add(1, 1, false, { kind: "serial", port: 2, bytes: new Uint8Array(1) });
    record.clear();
    expect(record.inputs()).toEqual([]);
  });
});
