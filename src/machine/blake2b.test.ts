import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Blake2b } from "./blake2b.ts";

const pattern = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, n) => (n * 167 + (n >> 8)) & 0xff);

describe("BLAKE2b", () => {
  it("hashes 'abc' as RFC 7693, Appendix A does", () => {
    expect(new Blake2b(64).update(new TextEncoder().encode("abc")).digest()).toBe(
      "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1" +
        "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
    );
  });

  it("hashes with a 32-byte digest", () => {
    expect(new Blake2b(32).update(new TextEncoder().encode("abc")).digest()).toBe(
      "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
    );
  });

  it.each([0, 1, 127, 128, 129, 255, 256, 257, 1_048_447, 1_048_448, 1_048_449, 2_500_000])(
    "hashes %i bytes as OpenSSL does",
    (length) => {
      const bytes = pattern(length);
      const expected = createHash("blake2b512").update(bytes).digest("hex");
      expect(new Blake2b(64).update(bytes).digest()).toBe(expected);
    },
  );

  it("does not depend on how the input is cut", () => {
    const bytes = pattern(1000);
    const whole = new Blake2b(64).update(bytes).digest();
    const pieces = new Blake2b(64);
    for (let from = 0; from < bytes.length; from += 77) pieces.update(bytes.subarray(from, from + 77));
    expect(pieces.digest()).toBe(whole);
  });
});
