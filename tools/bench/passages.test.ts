import { expect, test } from "vitest";
import { PassageListener } from "./passages.ts";

test("a passage lasts from the arrival of its start mark to that of its end mark", () => {
  const listener = new PassageListener();
  const at = (seconds: number) => () => ({ seconds, processorSeconds: seconds / 2 });
  expect(listener.hear("boot\r\n@K hash\r\n", at(1))).toEqual([]);
  expect(listener.hear("boot\r\n@K hash\r\n@S\r\n", at(2))).toEqual([]);
  expect(listener.hear("boot\r\n@K hash\r\n@S\r\n@", at(3))).toEqual([]);
  expect(listener.hear("boot\r\n@K hash\r\n@S\r\n@E\r\n@C 00", at(5))).toEqual([]);
  expect(listener.hear("boot\r\n@K hash\r\n@S\r\n@E\r\n@C 00ff\r\n", at(9))).toEqual([
    { kind: "hash", seconds: 3, processorSeconds: 1.5, checksum: "00ff" },
  ]);
});

test("a kind that ends without a checksum is no passage, and does not lend its marks to the next", () => {
  const listener = new PassageListener();
  const now = () => ({ seconds: 1, processorSeconds: undefined });
  expect(listener.hear("@K gzip\n@S\n@K perl\n@C 12\n", now)).toEqual([]);
});

test("a program that shares the host's clock tells its own time", () => {
  const listener = new PassageListener();
  const now = () => ({ seconds: 1, processorSeconds: undefined });
  const [passage] = listener.hear("@K hash\n@S\n@E\n@T 2500000\n@C 12\n", now);
  expect(passage?.seconds).toBe(0.0025);
});
