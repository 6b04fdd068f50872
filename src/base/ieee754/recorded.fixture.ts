import * as ieee from "./index.ts";

/**
 * Replays recorded executions (the lines that tools/ieee754-vectors/generate.c prints) on this folder: each mnemonic composes the pure
 * operations as its instruction semantics would.
 */

const { binary16, binary32, binary64, extended80, IE, DE, ZE, OE, UE, PE } = ieee;
type Format = ieee.Format;
type Environment = ieee.Environment;

/** What an execution leaves: undefined results are those the instruction does not write. */
interface Outcome {
  readonly results: readonly (bigint | undefined)[];
  readonly status: number;
}
type Replay = (control: number, operands: readonly bigint[]) => Outcome;

const XM = 0x80;
const C0 = 0x100;
const C1 = 0x200;
const C2 = 0x400;
const C3 = 0x4000;
const FILL = 0xa5a5_a5a5_a5a5_a5a5_a5a5n;

// ---------------------------------------------------------------- SSE

type SseResult = { readonly bits: bigint; readonly exceptions: number };
const sse =
  (width: number, compute: (environment: Environment, operands: readonly bigint[]) => SseResult): Replay =>
  (control, operands) => {
    const environment = ieee.mxcsrEnvironment(control);
    const { bits, exceptions } = compute(environment, operands);
    return exceptions & environment.unmasked
      ? { results: [undefined], status: exceptions | XM }
      : { results: [BigInt.asUintN(width, bits)], status: exceptions };
  };

const roundingOf = (environment: Environment, immediate: number): Environment =>
  immediate & 4 ? environment : { ...environment, rounding: ieee.roundingModes[immediate & 3]! };
const truncating = (environment: Environment): Environment => ({ ...environment, rounding: "zero" });
const predicates = {
  eq: (r: ieee.Relation) => r === "equal",
  lt: (r: ieee.Relation) => r === "less",
  le: (r: ieee.Relation) => r === "less" || r === "equal",
  unord: (r: ieee.Relation) => r === "unordered",
};
const rflags = { unordered: 0x45n, greater: 0n, less: 1n, equal: 0x40n };

const operations = {
  add: ieee.add,
  sub: ieee.sub,
  mul: ieee.mul,
  div: ieee.div,
  min: ieee.min,
  max: ieee.max,
};
const replays = new Map<string, Replay>();
for (const [suffix, format] of [
  ["ss", binary32],
  ["sd", binary64],
] as const) {
  const { width } = format;
  const other = format === binary32 ? binary64 : binary32;
  for (const name of ["add", "sub", "mul", "div", "min", "max"] as const) {
    replays.set(
      name + suffix,
      sse(width, (env, [a, b]) => operations[name](format, env, a!, b!)),
    );
  }
  replays.set(
    `sqrt${suffix}`,
    sse(width, (env, [a]) => ieee.sqrt(format, env, a!)),
  );
  // VFMADD213: operand1 = operand2 * operand1 + operand3
  replays.set(
    `vfmadd213${suffix}`,
    sse(width, (env, [a, b, c]) => ieee.fma(format, env, b!, a!, c!)),
  );
  replays.set(
    `cvt${suffix}2${other === binary32 ? "ss" : "sd"}`,
    sse(other.width, (env, [a]) => ieee.convert(other, format, env, a!)),
  );
  for (const size of [32, 64] as const) {
    replays.set(
      `cvt${suffix}2si${size}`,
      sse(size, (env, [a]) => ieee.toInteger(size, format, env, a!)),
    );
    replays.set(
      `cvtt${suffix}2si${size}`,
      sse(size, (env, [a]) => ieee.toInteger(size, format, truncating(env), a!)),
    );
    replays.set(
      `vcvt${suffix}2usi${size}`,
      sse(size, (env, [a]) => ieee.toUnsignedInteger(size, format, env, a!)),
    );
    replays.set(
      `cvtsi2${suffix}${size}`,
      sse(width, (env, [a]) => ieee.fromInteger(format, env, BigInt.asIntN(size, a!))),
    );
    replays.set(
      `vcvtusi2${suffix}${size}`,
      sse(width, (env, [a]) => ieee.fromInteger(format, env, a!)),
    );
  }
  for (const immediate of [0, 1, 2, 3, 4, 8, 12]) {
    replays.set(
      `round${suffix}${immediate.toString(16)}`,
      sse(width, (env, [a]) => {
        const { bits, exceptions } = ieee.roundToIntegral(format, roundingOf(env, immediate), a!, "ignore");
        return { bits, exceptions: immediate & 8 ? exceptions & ~PE : exceptions };
      }),
    );
  }
  for (const [predicate, holds] of Object.entries(predicates)) {
    const quiet = predicate === "eq" || predicate === "unord";
    replays.set(
      `cmp${predicate}${suffix}`,
      sse(width, (env, [a, b]) => {
        const { relation, exceptions } = ieee.compare(env, quiet, format, a!, b!);
        return { bits: holds(relation) ? -1n : 0n, exceptions };
      }),
    );
  }
  for (const quiet of [false, true]) {
    replays.set(
      `${quiet ? "u" : ""}comi${suffix}`,
      sse(8, (env, [a, b]) => {
        const { relation, exceptions } = ieee.compare(env, quiet, format, a!, b!);
        return { bits: rflags[relation], exceptions };
      }),
    );
  }
}
replays.set(
  "vcvtps2ph",
  sse(16, (env, [a]) => ieee.convert(binary16, binary32, { ...env, flushToZero: false }, a!)),
);
replays.set(
  "vcvtph2ps",
  sse(32, (env, [a]) => {
    const { bits, exceptions } = ieee.convert(
      binary32,
      binary16,
      { ...env, denormalsAreZero: false, unmasked: 0 },
      a!,
    );
    return { bits, exceptions: exceptions & IE };
  }),
);

// ---------------------------------------------------------------- x87

const preComputation = IE | DE | ZE;
const flagsOf = (result: { exceptions: number; roundedUp: boolean }): number =>
  result.exceptions | (result.roundedUp ? C1 : 0);

/** Arithmetic on registers: withheld results leave ST(0) as it was. */
const x87 =
  (
    compute: (environment: Environment, operands: readonly bigint[]) => ieee.Result,
    codes: (r: never) => number = () => 0,
  ): Replay =>
  (control, operands) => {
    const environment = ieee.controlWordEnvironment(control);
    const result = compute(environment, operands);
    const written = (result.exceptions & environment.unmasked & preComputation) === 0;
    return { results: [written ? result.bits : undefined], status: flagsOf(result) | codes(result as never) };
  };

/** Stores to memory: unmasked overflow and underflow withhold them, too. */
const x87Store =
  (compute: (environment: Environment, a: bigint) => ieee.Result): Replay =>
  (control, [a]) => {
    const environment = ieee.controlWordEnvironment(control);
    const result = compute(environment, a!);
    const written = (result.exceptions & environment.unmasked & (preComputation | OE | UE)) === 0;
    return { results: [written ? result.bits : undefined], status: flagsOf(result) };
  };

const conditionCodes = { greater: 0, less: C0, equal: C3, unordered: C0 | C2 | C3 };
const x87Compare =
  (quiet: boolean, formatB: Format = extended80): Replay =>
  (control, [a, b]) => {
    const environment = ieee.controlWordEnvironment(control);
    const { relation, exceptions } = ieee.compare(environment, quiet, extended80, a!, b!, formatB);
    return { results: [], status: exceptions | conditionCodes[relation] };
  };

for (const name of ["add", "sub", "mul", "div"] as const) {
  replays.set(
    `f${name}`,
    x87((env, [a, b]) => operations[name](extended80, env, a!, b!)),
  );
  for (const [suffix, memory] of [
    ["m32", binary32],
    ["m64", binary64],
  ] as const) {
    replays.set(
      `f${name}${suffix}`,
      x87((env, [a, b]) => operations[name](extended80, env, a!, b!, extended80, memory)),
    );
  }
}
for (const name of ["sub", "div"] as const) {
  replays.set(
    `f${name}r`,
    x87((env, [a, b]) => operations[name](extended80, env, b!, a!)),
  );
  for (const [suffix, memory] of [
    ["m32", binary32],
    ["m64", binary64],
  ] as const) {
    replays.set(
      `f${name}r${suffix}`,
      x87((env, [a, b]) => operations[name](extended80, env, b!, a!, memory, extended80)),
    );
  }
}
replays.set(
  "fsqrt",
  x87((env, [a]) => ieee.sqrt(extended80, env, a!)),
);
replays.set(
  "fscale",
  x87((env, [a, b]) => ieee.scale(extended80, env, a!, b!)),
);
replays.set(
  "frndint",
  x87((env, [a]) => ieee.roundToIntegral(extended80, env, a!, "report")),
);
const quotientCodes = (r: ieee.RemainderResult): number =>
  (r.partial ? C2 : 0) | (r.quotient & 4 ? C0 : 0) | (r.quotient & 2 ? C3 : 0) | (r.quotient & 1 ? C1 : 0);
replays.set(
  "fprem",
  x87((env, [a, b]) => ieee.remainder(extended80, env, "zero", a!, b!), quotientCodes),
);
replays.set(
  "fprem1",
  x87((env, [a, b]) => ieee.remainder(extended80, env, "nearest", a!, b!), quotientCodes),
);
replays.set("fxtract", (control, [a]) => {
  const environment = ieee.controlWordEnvironment(control);
  const { exponent, significand, exceptions } = ieee.extract(extended80, environment, a!);
  const results = exceptions & environment.unmasked ? [undefined, 0n] : [significand, exponent];
  return { results, status: exceptions };
});
replays.set("fcom", x87Compare(false));
replays.set("fucom", x87Compare(true));
replays.set("fcomm32", x87Compare(false, binary32));
replays.set("fcomm64", x87Compare(false, binary64));
const examination: Record<ieee.OperandClass, number> = {
  unsupported: 0,
  quietNaN: C0,
  signalingNaN: C0,
  normal: C2,
  infinity: C2 | C0,
  zero: C3,
  denormal: C3 | C2,
};
replays.set("fxam", (_control, [a]) => {
  const operand = ieee.decode(extended80, a!);
  return { results: [], status: examination[operand.class] | ((a! >> 79n) & 1n ? C1 : 0) };
});
/** Loads: a denormal is loaded even where DE is unmasked. */
const x87Load =
  (format: Format): Replay =>
  (control, [a]) => {
    const environment = ieee.controlWordEnvironment(control);
    const { bits, exceptions } = ieee.convert(extended80, format, environment, a!);
    return { results: [exceptions & environment.unmasked & IE ? undefined : bits], status: exceptions };
  };
replays.set("fldm32", x87Load(binary32)).set("fldm64", x87Load(binary64));
for (const width of [16, 32, 64] as const) {
  replays.set(
    `fildm${width}`,
    x87((env, [a]) => ieee.fromInteger(extended80, env, BigInt.asIntN(width, a!))),
  );
  const stored = x87Store((env, a) => ieee.toInteger(width, extended80, env, a));
  replays.set(`fistm${width}`, stored).set(`fistpm${width}`, stored);
  replays.set(
    `fisttpm${width}`,
    x87Store((env, a) => ieee.toInteger(width, extended80, truncating(env), a)),
  );
}
replays.set("fbld", (_control, [a]) => ({ results: [ieee.fromBcd(extended80, a!)], status: 0 }));
replays.set(
  "fbstp",
  x87Store((env, a) => ieee.toBcd(extended80, env, a)),
);
replays.set(
  "fstm32",
  x87Store((env, a) => ieee.convert(binary32, extended80, env, a)),
);
replays.set(
  "fstm64",
  x87Store((env, a) => ieee.convert(binary64, extended80, env, a)),
);

replays.set(
  "f2xm1",
  x87((env, [a]) => ieee.exp2MinusOne(env, a!)),
);
replays.set(
  "fyl2x",
  x87((env, [a, b]) => ieee.yLog2X(env, a!, b!)),
);
replays.set(
  "fyl2xp1",
  x87((env, [a, b]) => ieee.yLog2XPlusOne(env, a!, b!)),
);
replays.set(
  "fpatan",
  x87((env, [a, b]) => ieee.atan2(env, a!, b!)),
);
const rangeCodes = (r: ieee.TrigonometricResult): number => (r.outOfRange ? C2 : 0);
replays.set(
  "fsin",
  x87((env, [a]) => ieee.sin(env, a!), rangeCodes),
);
replays.set(
  "fcos",
  x87((env, [a]) => ieee.cos(env, a!), rangeCodes),
);
/** FPTAN pushes a second result, unless there is none. */
const pushing =
  (
    compute: (
      environment: Environment,
      a: bigint,
    ) => readonly [ieee.TrigonometricResult, ieee.TrigonometricResult],
  ): Replay =>
  (control, [a]) => {
    const environment = ieee.controlWordEnvironment(control);
    const [top, next] = compute(environment, a!);
    const exceptions = top.exceptions | next.exceptions;
    const status = exceptions | (top.roundedUp ? C1 : 0) | rangeCodes(top);
    if (exceptions & environment.unmasked & preComputation || top.outOfRange)
      return { results: [undefined, 0n], status };
    return { results: [top.bits, next.bits], status };
  };
const ONE = 0x3fff_8000_0000_0000_0000n;
replays.set(
  "fptan",
  pushing((env, a) => {
    const tangent = ieee.tan(env, a);
    const { bits } = tangent;
    const none = ieee.isNaNOperand(ieee.decode(extended80, bits));
    return [{ ...tangent, bits: none ? bits : ONE }, tangent];
  }),
);
replays.set(
  "fsincos",
  pushing((env, a) => [ieee.cos(env, a), ieee.sin(env, a)]),
);

const bitsOf = (field: string): bigint => BigInt(`0x${field}`);

/** What one recorded line says, and what the replay of it gives. */
export interface Replayed {
  readonly mnemonic: string;
  readonly expected: { readonly results: readonly bigint[]; readonly status: number };
  readonly actual: { readonly results: readonly bigint[]; readonly status: number };
}

/** Mnemonics whose unwritten result is the memory's or the register's fill pattern, not the first operand; or 0. */
const leavesFill = /^f(st|ist|bst)|^v?cvt|^round|^sqrt/;
const leavesZero = /^f(ld|ild|bld)|^u?comi/;

/** Replays one line; undefined if its mnemonic is not known. */
export function replay(line: string): Replayed | undefined {
  const [mnemonic, control, operandFields, resultFields, status] = line.split(" ") as [
    string,
    string,
    string,
    string,
    string,
  ];
  const run = replays.get(mnemonic);
  if (!run) return undefined;
  const operands = operandFields.split(",").map(bitsOf);
  const outcome = run(Number.parseInt(control, 16), operands);
  const fields = resultFields === "-" ? [] : resultFields.split(",");
  const unwritten = (field: string): bigint => {
    if (leavesZero.test(mnemonic)) return 0n;
    return leavesFill.test(mnemonic) ? BigInt.asUintN(field.length * 4, FILL) : operands[0]!;
  };
  return {
    mnemonic,
    expected: { results: fields.map(bitsOf), status: Number.parseInt(status, 16) },
    actual: {
      results: fields.map((field, i) => outcome.results[i] ?? unwritten(field)),
      status: outcome.status,
    },
  };
}

export const agrees = ({ expected, actual }: Replayed): boolean =>
  expected.status === actual.status && expected.results.every((bits, i) => bits === actual.results[i]);

/** Whether the replay is at most one unit in the last place off in each result, and else differs in C1 only. */
export const nearlyAgrees = ({ expected, actual }: Replayed): boolean =>
  (expected.status & ~C1) === (actual.status & ~C1) &&
  expected.results.every((bits, i) => {
    const distance = bits - actual.results[i]!;
    return distance >= -1n && distance <= 1n;
  });

/** The mnemonics that need not agree in the last bit and C1. */
export const isTranscendental = (mnemonic: string): boolean =>
  /^f(2xm1|yl2x|sin|cos|ptan|patan)/.test(mnemonic);
