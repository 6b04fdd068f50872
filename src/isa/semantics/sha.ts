import { constant, select, type Value, vector } from "../../ir/value.ts";
import { define, defineWith } from "../define.ts";

/** SHA extensions (SDM Vol. 2; FIPS 180-4). Lanes are doublewords, lane 3 the SDM's bits 127:96. */

const words = (value: Value): [Value, Value, Value, Value] => value.lanes(32) as [Value, Value, Value, Value];

const choose = (x: Value, y: Value, z: Value): Value => x.and(y).or(x.not().and(z));
const majority = (x: Value, y: Value, z: Value): Value => x.and(y).or(z.and(x.or(y)));
const parity = (x: Value, y: Value, z: Value): Value => x.xor(y).xor(z);
const rotations = (x: Value, a: number, b: number, c: number): Value =>
  x.rotr(a).xor(x.rotr(b)).xor(x.rotr(c));

/** FIPS 180-4, "SHA-1 Constants", by rounds of twenty. */
const sha1Constants = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6] as const;

/** Four rounds of SHA-1 with the function and constant of imm8[1:0]; lane 3 of SRC already holds E added to its word. */
export const SHA1RNDS4 = define("SHA1RNDS4", (dest, src, which) => {
  let [d, c, b, a] = words(dest);
  const [k0, k1, k2, k3] = sha1Constants.map((k) => constant(k, 32)) as [Value, Value, Value, Value];
  const [low, high] = [which.bit(0), which.bit(1)];
  const k = select(high, select(low, k3, k2), select(low, k1, k0));
  let e = constant(0, 32);
  for (const word of words(src).reverse()) {
    const f = select(low, parity(b, c, d), select(high, majority(b, c, d), choose(b, c, d)));
    [a, b, c, d, e] = [f.add(a.rotl(5)).add(word).add(e).add(k), a, b.rotl(30), c, d];
  }
  return { dest: vector([d, c, b, a]) };
});

export const SHA1NEXTE = define("SHA1NEXTE", (dest, src) => {
  const [w0, w1, w2, w3] = words(src);
  return { dest: vector([w0, w1, w2, w3.add(dest.lane(3, 32).rotl(30))]) };
});

export const SHA1MSG1 = define("SHA1MSG1", (dest, src) => ({
  dest: dest.xor(src.shuffle(dest, 32, [2, 3, 4, 5])),
}));

export const SHA1MSG2 = define("SHA1MSG2", (dest, src) => {
  const [d0, d1, d2, d3] = words(dest);
  const [s0, s1, s2] = words(src);
  const w16 = d3.xor(s2).rotl(1);
  return { dest: vector([d0.xor(w16).rotl(1), d1.xor(s0).rotl(1), d2.xor(s1).rotl(1), w16]) };
});

/** Two rounds of SHA-256; XMM0 holds two words with their constants added. */
export const SHA256RNDS2 = defineWith("SHA256RNDS2", (frame, dest, src) => {
  let [h, g, d, c] = words(dest!);
  let [f, e, b, a] = words(src!);
  for (const word of words(frame.register("XMM0", 128)).slice(0, 2)) {
    const t1 = choose(e, f, g)
      .add(rotations(e, 6, 11, 25))
      .add(word)
      .add(h);
    const t2 = majority(a, b, c).add(rotations(a, 2, 13, 22));
    [a, b, c, d, e, f, g, h] = [t1.add(t2), a, b, c, t1.add(d), e, f, g];
  }
  frame.write(dest!, vector([f, e, b, a]));
});

export const SHA256MSG1 = define("SHA256MSG1", (dest, src) => {
  const [w0, w1, w2, w3] = words(dest);
  const next = [w1, w2, w3, src.lane(0, 32)];
  const sigma = (x: Value): Value => x.rotr(7).xor(x.rotr(18)).xor(x.shr(3));
  return { dest: vector([w0, w1, w2, w3].map((w, i) => w.add(sigma(next[i]!)))) };
});

export const SHA256MSG2 = define("SHA256MSG2", (dest, src) => {
  const [d0, d1, d2, d3] = words(dest);
  const sigma = (x: Value): Value => x.rotr(17).xor(x.rotr(19)).xor(x.shr(10));
  const w16 = d0.add(sigma(src.lane(2, 32)));
  const w17 = d1.add(sigma(src.lane(3, 32)));
  return { dest: vector([w16, w17, d2.add(sigma(w16)), d3.add(sigma(w17))]) };
});
