import { describe, expect, it } from "vitest";
import { TextMatch } from "./text-match.ts";

const matchesAt = (wanted: string, stream: string): number[] => {
  const match = new TextMatch(wanted);
  return [...new TextEncoder().encode(stream)].flatMap((byte, index) => (match.next(byte) ? [index] : []));
};

describe("text in a stream", () => {
  it("is found where it ends", () => {
    expect(matchesAt("login:", "host login: ")).toEqual([10]);
  });
  it("is found after a beginning that went wrong", () => {
    expect(matchesAt("aab", "aaab")).toEqual([3]);
    expect(matchesAt("abcabd", "abcabcabd")).toEqual([8]);
  });
  it("is found again, overlapping itself", () => {
    expect(matchesAt("aa", "aaaa")).toEqual([1, 2, 3]);
  });
  it("may be of any script", () => {
    expect(matchesAt("é", "café")).toEqual([4]);
  });
});
