import { describe, expect, it } from "vitest";
import { EscapeFilter } from "./terminal.ts";

const take = (...pieces: string[]): string[] => {
  const filter = new EscapeFilter();
  return pieces
    .flatMap((piece) => filter.take(new TextEncoder().encode(piece)))
    .map((part) => (typeof part === "string" ? `<${part}>` : new TextDecoder().decode(part)));
};

describe("keys typed at the terminal", () => {
  it("go to the guest, Ctrl-C and escape sequences too", () => {
    expect(take("ls\r\x03\x1b[A")).toEqual(["ls\r\x03\x1b[A"]);
  });
  it("are commands after Ctrl-A, in upper or lower case", () => {
    expect(take("ab\x01xcd\x01H\x01s")).toEqual(["ab", "<quit>", "cd", "<help>", "<statistics>"]);
  });
  it("may be cut between Ctrl-A and its letter", () => {
    expect(take("a\x01", "x")).toEqual(["a", "<quit>"]);
  });
  it("send Ctrl-A when it is typed twice, and nothing for other letters", () => {
    expect(take("\x01\x01", "\x01z", "b")).toEqual(["\x01", "b"]);
  });
});
