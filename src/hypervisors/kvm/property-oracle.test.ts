import { describe, expect, it } from "vitest";
import { type Scenario, scenarios, violations } from "./property-oracle.fixture.ts";

it.each(scenarios)("keeps every register of both worlds: %s", (scenario) => {
  expect(violations(scenario)).toEqual([]);
});

it.each(scenarios)("keeps them in historic mode too: %s", (scenario) => {
  expect(violations(scenario, { mode: "historic" })).toEqual([]);
});

interface Mutation {
  readonly name: string;
  readonly change: (text: string) => string;
  /** Where it shows. Default: a plain exit. */
  readonly shows?: Scenario;
}

const swapLines =
  (first: string, second: string) =>
  (text: string): string => {
    const lines = text.split("\n");
    const [a, b] = [first, second].map((part) => lines.findIndex((line) => line.includes(part)));
    [lines[a!], lines[b!]] = [lines[b!]!, lines[a!]!];
    return lines.join("\n");
  };
const drop =
  (part: string) =>
  (text: string): string => {
    const lines = text.split("\n");
    lines.splice(
      lines.findIndex((line) => line.includes(part)),
      1,
    );
    return lines.join("\n");
  };

const stores = [
  "rax",
  "rbx",
  "rdx",
  "rsi",
  "rdi",
  "rbp",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
].map((name) => ({
  name,
  pattern: new RegExp(`mov \\[rcx \\+ \\d+\\], ${name}$`, "m"),
  load: new RegExp(`mov ${name}, \\[rcx \\+ \\d+\\]$`, "gm"),
}));
const replaceLast = (text: string, pattern: RegExp, by: string): string => {
  const all = [...text.matchAll(pattern)];
  const last = all.at(-1)!;
  return text.slice(0, last.index) + by + text.slice(last.index + last[0].length);
};

const mutations: readonly Mutation[] = [
  ...stores.map(({ name, pattern }) => ({
    name: `the store of ${name} dropped`,
    change: (text: string) => text.replace(pattern, "nop"),
  })),
  ...stores.map(({ name, load }) => ({
    name: `the load of ${name} dropped`,
    change: (text: string) => replaceLast(text, load, "nop"),
  })),
  ...stores.slice(1).map(({ name, pattern }, n) => ({
    name: `the stores of ${stores[n]!.name} and ${name} swapped`,
    change: (text: string) => {
      const other = stores[n]!;
      const [mine, its] = [pattern.exec(text)![0], other.pattern.exec(text)![0]];
      return text
        .replace(mine, mine.replace(/\w+$/, "#"))
        .replace(its, its.replace(/\w+$/, name))
        .replace("#", other.name);
    },
  })),
  {
    name: "the launched test before the comparison of CR2",
    change: (text) => {
      const test = /^.*cmp dword.*\n/m.exec(text)![0];
      return text
        .replace(test, "")
        .replace(
          "        mov rax, [rcx + 136]\n        mov rdx, cr2",
          `${test}        mov rax, [rcx + 136]\n        mov rdx, cr2`,
        );
    },
  },
  { name: "the launched test turned round", change: (text) => text.replace("jne kvmResume", "je kvmResume") },
  {
    name: "an add before setbe",
    change: (text) => text.replace("setbe", "add rdx, 0\n        setbe"),
    shows: "VMfail",
  },
  { name: "the store of RCX dropped", change: drop("pop qword [rcx"), shows: "exit" },
  { name: "the guest's CR2 not read", change: (text) => text.replace("mov [rcx + 136], rax", "nop") },
  {
    name: "RBP and RDX popped in the other order",
    change: (text) => text.replace("pop rbp\n        pop rdx", "pop rdx\n        pop rbp"),
  },
  {
    name: "the pointer loaded over before the last register",
    change: swapLines("mov r15, [rcx", "mov rcx, [rcx"),
  },
  { name: "host_rsp not kept up to date", change: drop("vmwrite rdx, rsp") },
  {
    name: "R12 and R13 popped in the other order",
    change: (text) => text.replace("pop r13\n        pop r12", "pop r12\n        pop r13"),
  },
];

describe("mutations of the switch are noticed", () => {
  it.each(mutations)("$name", ({ change, shows = "exit" }) => {
    expect(
      violations(shows, {
        worldSwitch: (text) => {
          const changed = change(text);
          if (changed === text) throw new Error("nothing was changed");
          return changed;
        },
      }),
    ).not.toEqual([]);
  });
});
