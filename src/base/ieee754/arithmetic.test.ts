import { describe, expect, it } from "vitest";
import * as ieee from "./index.ts";

const { binary32, binary64, extended80, IE, DE, ZE, OE, UE, PE } = ieee;

const sse = ieee.mxcsrEnvironment(0x1f80);
const x87 = ieee.controlWordEnvironment(0x37f);
const unmasking = (environment: ieee.Environment, unmasked: number): ieee.Environment => ({
  ...environment,
  unmasked,
});
const f64 = (value: number): bigint => new BigUint64Array(new Float64Array([value]).buffer)[0]!;
const f32 = (value: number): bigint => BigInt(new Uint32Array(new Float32Array([value]).buffer)[0]!);
/** A number as an 80-bit encoding. */
const f80 = (value: number): bigint => ieee.convert(extended80, binary64, x87, f64(value)).bits;

const QNAN = 0x7ff8_0000_0000_0001n;
const SNAN = 0x7ff0_0000_0000_0002n;
const DENORMAL = 1n;

describe("the environment", () => {
  it("of MXCSR after reset rounds to nearest and masks everything", () => {
    expect(sse).toMatchObject({
      rounding: "nearest",
      flushToZero: false,
      denormalsAreZero: false,
      unmasked: 0,
    });
  });
  it("reads DAZ, masks, RC and FTZ from MXCSR", () => {
    const environment = ieee.mxcsrEnvironment(0x8000 | 0x6000 | 0x1e80 | 0x40);
    expect(environment).toMatchObject({
      rounding: "zero",
      flushToZero: true,
      denormalsAreZero: true,
      unmasked: DE,
    });
  });
  it("reads masks, PC and RC from the control word", () => {
    const environment = ieee.controlWordEnvironment(0x043b);
    expect(environment).toMatchObject({ rounding: "down", precision: 24, unmasked: ZE, nanRule: "x87" });
  });
});

describe("exception priority (SDM Vol. 1, Table 4-11 and the order of x87 exceptions)", () => {
  it("reports nothing with a QNaN operand, whatever the other is", () => {
    expect(ieee.div(binary64, sse, QNAN, 0n)).toMatchObject({ bits: QNAN, exceptions: 0 });
    expect(ieee.add(binary64, sse, DENORMAL, QNAN)).toMatchObject({ bits: QNAN, exceptions: 0 });
  });
  it("reports a division of a denormal by zero as ZE alone", () => {
    expect(ieee.div(binary64, sse, DENORMAL, 0n)).toMatchObject({ bits: binary64.infinity, exceptions: ZE });
  });
  it("reports the root of a negative denormal as IE alone", () => {
    expect(ieee.sqrt(binary64, sse, DENORMAL | binary64.signBit)).toMatchObject({
      bits: binary64.indefinite,
      exceptions: IE,
    });
  });
  it("stops at an unmasked DE, before PE", () => {
    const third = ieee.div(binary64, unmasking(sse, DE), DENORMAL, f64(3));
    expect(third).toEqual({ bits: 0n, exceptions: DE, roundedUp: false });
  });
});

describe("NaN operands", () => {
  it("give the first operand, quieted, under SSE", () => {
    expect(ieee.add(binary64, sse, SNAN, QNAN)).toMatchObject({
      bits: SNAN | binary64.quietBit,
      exceptions: IE,
    });
  });
  it("give the QNaN of a pair, and the larger significand of two alike, under x87", () => {
    const [q, larger, s] = [
      0x7fff_c000_0000_0000_0001n,
      0xffff_c000_0000_0000_0002n,
      0x7fff_a000_0000_0000_0000n,
    ];
    expect(ieee.mul(extended80, x87, s, q)).toMatchObject({ bits: q, exceptions: IE });
    expect(ieee.mul(extended80, x87, q, larger)).toMatchObject({ bits: larger, exceptions: 0 });
  });
  it("go through MINSD unchanged as the second operand only", () => {
    expect(ieee.min(binary64, sse, f64(1), SNAN)).toMatchObject({ bits: SNAN, exceptions: IE });
    expect(ieee.min(binary64, sse, SNAN, f64(1))).toMatchObject({ bits: f64(1), exceptions: IE });
  });
});

describe("unsupported 80-bit encodings", () => {
  it.each([
    ["an unnormal", 0x3fff_4000_0000_0000_0000n],
    ["a pseudo-infinity", 0x7fff_0000_0000_0000_0000n],
    ["a pseudo-NaN", 0x7fff_4000_0000_0000_0000n],
  ])("are invalid operands, even beside a QNaN: %s", (_, bits) => {
    const result = ieee.add(extended80, x87, bits, extended80.indefinite);
    expect(result).toMatchObject({ bits: extended80.indefinite, exceptions: IE });
  });
  it("do not include pseudo-denormals, which are denormals", () => {
    expect(ieee.add(extended80, x87, 0x0000_8000_0000_0000_0000n, 0n)).toMatchObject({
      bits: 0x0001_8000_0000_0000_0000n,
      exceptions: DE,
    });
  });
});

describe("overflow and underflow", () => {
  const smallest = binary64.integerBit; // 2^-1022
  it("detect tininess after rounding", () => {
    // 2^-1022 (1 - 2^-104): below the normal numbers, but rounds to 2^-1022 with an unbounded exponent
    const notTiny = ieee.mul(binary64, sse, smallest | 1n, f64(1 - 2 ** -52));
    expect(notTiny).toMatchObject({ bits: smallest, exceptions: PE });
    // 2^-1022 (1 - 2^-53): needs no rounding but that to a denormal, which carries it to 2^-1022 all the same
    const tiny = ieee.mul(binary64, sse, smallest, f64(1 - 2 ** -53));
    expect(tiny).toMatchObject({ bits: smallest, exceptions: UE | PE });
  });
  it("report an exact denormal only where UE is unmasked", () => {
    expect(ieee.mul(binary64, sse, smallest, f64(0.5)).exceptions).toBe(0);
    expect(ieee.mul(binary64, unmasking(sse, UE), smallest, f64(0.5)).exceptions).toBe(UE);
  });
  it("flush even exact denormals, with UE and PE", () => {
    const result = ieee.mul(binary64, ieee.mxcsrEnvironment(0x9f80), smallest | binary64.signBit, f64(0.5));
    expect(result).toMatchObject({ bits: binary64.signBit, exceptions: UE | PE });
  });
  it("give the largest number where rounding points away from infinity", () => {
    const largest = binary32.infinity - 1n;
    const doubled = (mxcsr: number) => ieee.add(binary32, ieee.mxcsrEnvironment(mxcsr), largest, largest);
    expect(doubled(0x1f80)).toMatchObject({ bits: binary32.infinity, exceptions: OE | PE });
    expect(doubled(0x3f80)).toMatchObject({ bits: largest, exceptions: OE | PE });
  });
  it("wrap the exponent by 24576 in a register, unmasked", () => {
    const large = 0x7ffe_8000_0000_0000_0000n;
    const result = ieee.mul(extended80, unmasking(x87, OE), large, large);
    expect(result).toEqual({ bits: 0x5ffd_8000_0000_0000_0000n, exceptions: OE, roundedUp: false });
  });
  it("keep 24 bits of a denormal under the 24-bit precision control", () => {
    const single = ieee.controlWordEnvironment(0x07f);
    const { bits } = ieee.mul(extended80, single, 0x0001_ffff_ffff_ffff_ffffn, f80(0.5));
    expect(bits & 0xff_ffff_ffffn).toBe(0n);
  });
});

describe("conversions", () => {
  it("give the integer indefinite for what does not fit", () => {
    expect(ieee.toInteger(32, binary64, sse, f64(2 ** 31))).toMatchObject({
      bits: 0x8000_0000n,
      exceptions: IE,
    });
    expect(ieee.toInteger(32, binary64, sse, f64(-(2 ** 31) - 0.25))).toMatchObject({
      bits: 0x8000_0000n,
      exceptions: PE,
    });
    expect(ieee.toUnsignedInteger(32, binary64, sse, f64(-1))).toMatchObject({
      bits: 0xffff_ffffn,
      exceptions: IE,
    });
  });
  it("round 2^63 - 1 to binary32", () => {
    expect(ieee.fromInteger(binary32, sse, 2n ** 63n - 1n)).toMatchObject({
      bits: f32(2 ** 63),
      exceptions: PE,
    });
  });
  it("store decimal digits", () => {
    expect(ieee.toBcd(extended80, x87, f80(-1234567))).toMatchObject({ bits: (1n << 79n) | 0x123_4567n });
    expect(ieee.toBcd(extended80, x87, f80(1e18))).toMatchObject({
      bits: 0xffffc000000000000000n,
      exceptions: IE,
    });
    expect(ieee.fromBcd(extended80, (1n << 79n) | 0x123_4567n)).toBe(f80(-1234567));
  });
  it("withhold a store that overflows unmasked, without PE", () => {
    const tooLarge = f80(1e300);
    expect(ieee.convert(binary32, extended80, unmasking(x87, OE), tooLarge)).toMatchObject({
      exceptions: OE,
    });
  });
  it("load denormals even where DE is unmasked", () => {
    const loaded = ieee.convert(extended80, binary32, unmasking(x87, DE), 1n);
    expect(loaded).toMatchObject({ bits: f80(2 ** -149), exceptions: DE });
  });
});

describe("remainders", () => {
  it("develop 32 to 63 bits of a long quotient at a time", () => {
    const step = ieee.remainder(extended80, x87, "zero", f80(2 ** 100), f80(3));
    expect(step).toMatchObject({ partial: true, quotient: 0 });
    const last = ieee.remainder(extended80, x87, "zero", step.bits, f80(3));
    expect(last).toMatchObject({ bits: f80(1), partial: false });
  });
  it("round the quotient to nearest even in FPREM1", () => {
    expect(ieee.remainder(extended80, x87, "nearest", f80(7), f80(2))).toMatchObject({
      bits: f80(-1),
      quotient: 4,
    });
    expect(ieee.remainder(extended80, x87, "nearest", f80(5), f80(2))).toMatchObject({
      bits: f80(1),
      quotient: 2,
    });
  });
});

describe("scaling and extraction", () => {
  it("split a number into exponent and significand, a zero with ZE", () => {
    expect(ieee.extract(extended80, x87, f80(-12))).toEqual({
      exponent: f80(3),
      significand: f80(-1.5),
      exceptions: 0,
    });
    expect(ieee.extract(extended80, x87, 0n)).toEqual({
      exponent: extended80.infinity | extended80.signBit,
      significand: 0n,
      exceptions: ZE,
    });
  });
  it("scale by the truncated exponent", () => {
    expect(ieee.scale(extended80, x87, f80(3), f80(-1.9))).toMatchObject({ bits: f80(1.5), exceptions: 0 });
    expect(ieee.scale(extended80, x87, 0n, extended80.infinity)).toMatchObject({ exceptions: IE });
  });
});

describe("transcendental functions", () => {
  it("reduce by a pi of 66 bits", () => {
    const pi64 = 0x4000_c90f_daa2_2168_c235n;
    expect(ieee.sin(x87, pi64).bits).toBe(f80(-(2 ** -64)));
  });
  it("leave operands of 2^63 and more alone", () => {
    expect(ieee.cos(x87, f80(-(2 ** 63)))).toMatchObject({
      bits: f80(-(2 ** 63)),
      outOfRange: true,
      exceptions: 0,
    });
    expect(ieee.tan(x87, extended80.infinity)).toMatchObject({ exceptions: IE, outOfRange: false });
  });
  it("know the angles of the axes", () => {
    expect(ieee.atan2(x87, f80(-1), 0n)).toMatchObject({ bits: 0x4000_c90f_daa2_2168_c235n, exceptions: PE });
    expect(ieee.atan2(x87, f80(1), extended80.signBit)).toMatchObject({
      bits: extended80.signBit,
      exceptions: 0,
    });
  });
  it("take the logarithm of zero as a division by zero", () => {
    expect(ieee.yLog2X(x87, 0n, f80(2))).toMatchObject({
      bits: extended80.infinity | extended80.signBit,
      exceptions: ZE,
    });
    expect(ieee.yLog2X(x87, f80(8), f80(2))).toMatchObject({ bits: f80(6), exceptions: PE });
  });
});

describe("no operand", () => {
  it("makes an operation fail", () => {
    let state = 1n;
    const next = (): bigint => {
      state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 128n) - 1n);
      return state >> 48n;
    };
    for (let n = 0; n < 300; n += 1) {
      const environment = ieee.controlWordEnvironment(Number(next() & 0xfffn));
      const [a, b] = [next() & (n & 1 ? -1n : ~(0x3fffn << 64n)), next()];
      for (const operation of [ieee.add, ieee.sub, ieee.mul, ieee.div, ieee.scale])
        operation(extended80, environment, a, b);
      for (const operation of [ieee.yLog2X, ieee.yLog2XPlusOne, ieee.atan2]) operation(environment, a, b);
      for (const operation of [ieee.sin, ieee.cos, ieee.tan, ieee.exp2MinusOne]) operation(environment, a);
      for (const rounding of ["zero", "nearest"] as const)
        ieee.remainder(extended80, environment, rounding, a, b);
      ieee.sqrt(extended80, environment, a);
      ieee.extract(extended80, environment, a);
      ieee.roundToIntegral(extended80, environment, a, "report");
      ieee.toBcd(extended80, environment, a);
      ieee.convert(binary32, extended80, environment, a);
      ieee.compare(environment, false, extended80, a, b);
    }
    expect(state).not.toBe(1n);
  });
});
