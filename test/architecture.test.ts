/**
 * The rules of the house, on the files as they are; and below each, the same guard on files that break the rule on purpose.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { binaryViolations, dependencyViolations, placeViolations } from "./architecture/contents.ts";
import { documentViolations, floorsOfDocument } from "./architecture/documents.ts";
import { floors, floorViolations, importCycles, isolationViolations } from "./architecture/floors.ts";
import { exportViolations, nameViolations } from "./architecture/names.ts";
import {
  codeOf,
  isProduct,
  type SourceFile,
  specifiersOf,
  type Violation,
} from "./architecture/source-text.ts";
import { surroundingsViolations } from "./architecture/surroundings.ts";
import { readTree } from "./architecture/tree.ts";

const { files, sizes } = readTree();
const packageJson = readFileSync(new URL("../package.json", import.meta.url), "utf8");

/** What may break a rule, and why. */
const exceptions = {
  floors: [] as readonly Violation[],
  /** Exported names with a refused word that is the manual's own. */
  names: {
    IA32_MISC_ENABLE: "an MSR of the SDM",
    MSR_PLATFORM_INFO: "an MSR of the SDM",
    MSR_MISC_FEATURES_ENABLES: "an MSR of the SDM",
    COMMON: 'VIRTIO 1.2: "common configuration structure"',
    CommonField: "one of its fields",
  } as Readonly<Record<string, string>>,
};

const text = (violations: readonly Violation[]): string[] =>
  violations.map(({ path, says }) => `${path} ${says}`);
const file = (path: string, source = ""): SourceFile => ({ path, source });
/** A file that imports each of these. */
const importing = (path: string, ...specifiers: string[]): SourceFile =>
  file(path, specifiers.map((specifier) => `import { x } from "${specifier}";\n`).join(""));

describe("what the guards look at", () => {
  it("is the whole project", () => {
    const product = files.filter(({ path }) => isProduct(path));
    expect(product.length).toBeGreaterThan(150);
    expect(product.flatMap(specifiersOf).length).toBeGreaterThan(product.length);
    expect(files.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        "package.json",
        "src/isa/maps/one-byte.ts",
        "test/architecture.test.ts",
        "docs/QUIRKS.md",
      ]),
    );
    expect(files.some(({ path }) => path.includes("node_modules"))).toBe(false);
  });

  it("sees imports of every kind, and none in comments and strings", () => {
    const source = [
      'import "./a.ts";',
      'import type { B } from "./b.ts";',
      "import {\n  c,\n} from './c.ts';",
      'export * from "./d.ts";',
      'type E = import("./e.ts").E;',
      'const f = await import("./f.ts");',
      '// import "./no.ts"',
      '/* import "./no.ts" */ const s = \'import "./no.ts"\';',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a template within the file
      'const t = `import "./no.ts" ${() => { return `${s} import "./no.ts"`; }} import "./no.ts"`;',
      "const r = /[\"'`/]/.test(s) || 4 / 2 / 1;",
      'export type { G } from "./g.ts";',
    ].join("\n");
    expect(specifiersOf(file("src/x.ts", source)).join(" ")).toBe(
      "./a.ts ./b.ts ./c.ts ./d.ts ./e.ts ./f.ts ./g.ts",
    );
    expect(codeOf(source).code).toHaveLength(source.length);
  });
});

describe("floors", () => {
  it("are imported downwards only", () => {
    const allowed = new Set(text(exceptions.floors));
    const found = text(floorViolations(files));
    expect(found.filter((line) => !allowed.has(line))).toEqual([]);
    expect([...allowed].filter((line) => !found.includes(line))).toEqual([]); // an exception that nobody needs
  });

  it.each([
    ["upwards", "src/cpu/a.ts", "../machine/b.ts", "machine is above cpu"],
    ["upwards, a type", "src/isa/a.ts", "../state/b.ts", "state is above isa"],
    ["a device the processor", "src/devices/a.ts", "../cpu/b.ts", "devices imports only bus, base, arch"],
    ["the processor a device", "src/cpu/a.ts", "../devices/b.ts", "devices is above cpu"],
    ["the bus the dictionary", "src/bus/a.ts", "../arch/b.ts", "bus imports only base"],
    ["the command line past the public door", "src/cli/a.ts", "../machine/b.ts", "cli imports only api"],
    ["the processor an observer", "src/cpu/a.ts", "../debug/b.ts", "debug is above cpu"],
    ["the product a tool", "src/api/a.ts", "../../tools/b.ts", "not of the product"],
    ["the product a package", "src/api/a.ts", "left-pad", "no dependencies"],
  ])("refuse %s", (_what, path, specifier, says) => {
    const target = specifier.startsWith("../../") ? "tools/b.ts" : specifier.replace("..", "src");
    expect(text(floorViolations([importing(path, specifier), file(target)])).join()).toContain(says);
  });

  it("refuse a file that stands on none, and one that is not there", () => {
    expect(floorViolations([file("src/cellar/a.ts")])).toHaveLength(1);
    expect(floorViolations([file("src/a.ts")])).toHaveLength(1);
    expect(floorViolations([importing("src/cpu/a.ts", "./gone.ts")])).toHaveLength(1);
  });

  it("allow the way down", () => {
    const devices = importing("src/devices/a.ts", "./b.ts", "../bus/c.ts", "../base/d/e.ts", "../arch/f.ts");
    const pc = importing("src/machine/pc.ts", "../devices/a.ts", "../cpu/g.ts");
    const rest = ["src/devices/b.ts", "src/bus/c.ts", "src/base/d/e.ts", "src/arch/f.ts", "src/cpu/g.ts"];
    expect(floorViolations([devices, pc, ...rest.map((path) => file(path))])).toEqual([]);
  });
});

describe("imports", () => {
  it("make no circle", () => {
    expect(importCycles(files)).toEqual([]);
  });

  it("that make a circle are found, types included", () => {
    const a = importing("src/isa/a.ts", "./b.ts", "../ir/d.ts");
    const b = file("src/isa/b.ts", 'import type { C } from "./maps/c.ts";');
    const c = importing("src/isa/maps/c.ts", "../a.ts");
    expect(importCycles([a, b, c])).toEqual([
      ["src/isa/a.ts", "src/isa/b.ts", "src/isa/maps/c.ts", "src/isa/a.ts"],
    ]);
    expect(importCycles([importing("src/isa/a.ts", "./a.ts")])).toHaveLength(1);
    expect(importCycles([a, b])).toEqual([]);
  });

  it("of tests and fixtures are made by tests alone", () => {
    expect(text(isolationViolations(files))).toEqual([]);
  });

  it("of tests and fixtures by others are found", () => {
    const fixture = "./b.fixture.ts";
    expect(isolationViolations([importing("src/isa/a.ts", "./b.test.ts")])).toHaveLength(1);
    expect(isolationViolations([importing("src/isa/a.ts", fixture)])).toHaveLength(1);
    expect(isolationViolations([importing("src/isa/a.ts", "../../test/sse/cases.ts")])).toHaveLength(1);
    expect(isolationViolations([importing("tools/a.ts", "../src/isa/b.test.ts")])).toHaveLength(1);
    expect(
      isolationViolations([
        importing("src/isa/a.test.ts", fixture),
        importing("test/c.ts", "../src/isa/b.fixture.ts"),
      ]),
    ).toEqual([]);
  });
});

describe("up to the machine", () => {
  it("nothing knows Node, the page, wall-clock time or chance", () => {
    expect(text(surroundingsViolations(files))).toEqual([]);
  });

  it.each([
    ["a module of Node", 'import { readFileSync } from "node:fs";'],
    ["the time", "const now = Date.now();"],
    ["a clock", "const now = performance.now();"],
    ["chance", "const bit = Math.random() < 0.5;"],
    ["the process", "if (process.env.X) {}"],
    ["a timer", "setTimeout(() => {}, 1);"],
    ["the page", "document.title = s;"],
    ["the terminal", "console.log(s);"],
    ["Node's buffers", "const bytes = Buffer.from(s);"],
    ["the global object", "const d = globalThis.x;"],
    ["the network", "const got = await fetch(url);"],
    ["something within a template", "const s = `at $" + "{Date.now()}`;"],
  ])("refuses %s", (_what, source) => {
    for (const floor of ["base", "devices", "machine"])
      expect(surroundingsViolations([file(`src/${floor}/a.ts`, source)])).toHaveLength(1);
    expect(surroundingsViolations([file("src/api/a.ts", source), file("src/cpu/a.test.ts", source)])).toEqual(
      [],
    );
  });

  it("does not mistake other things of the same name", () => {
    const source = [
      "// Date, process.exit()",
      'const says = "console.log(1)";',
      "const window = f(); g(window, this.console, bus.fetch(), { performance: 1 });",
      "class X {\n  readonly console: Y;\n  fetch(): Z {\n  }\n}",
    ].join("\n");
    expect(surroundingsViolations([file("src/cpu/a.ts", source)])).toEqual([]);
  });
});

describe("names", () => {
  it("of files are kebab-case nouns that say something", () => {
    expect(text(nameViolations(files))).toEqual([]);
  });

  it("of files that say nothing are found", () => {
    const bad = [
      "src/cpu/utils.ts", "src/cpu/page-helper.ts", "src/common/a.ts", "test/misc/a.ts", "tools/handle-exit.ts", "src/isa/info.test.ts",
      "src/cpu/pageWalk.ts", "src/cpu/page_walk.ts", "src/CPU/walk.ts",
    ]; // biome-ignore format: one list
    for (const path of bad) expect(nameViolations([file(path)]), path).toHaveLength(1);
    expect(
      nameViolations([
        file("src/codegen/handler.ts"),
        file("src/devices/uart-16550.test.ts"),
        file("docs/QUIRKS.md"),
      ]),
    ).toEqual([]);
  });

  it("of exports say something", () => {
    const allowed = new Set(Object.keys(exceptions.names));
    expect(text(exportViolations(files, allowed))).toEqual([]);
    expect(exportViolations(files, new Set()).map(({ says }) => says)).toHaveLength(allowed.size); // no exception that nobody needs
  });

  it("of exports that say nothing are found", () => {
    const found = (source: string): number =>
      exportViolations([file("src/cpu/a.ts", source)], new Set(["CommonField"])).length;
    expect(found("export const pageHelper = 1;")).toBe(1);
    expect(found("export class DeviceManager {}")).toBe(1);
    expect(found("export interface PageInfo {}")).toBe(1);
    expect(
      found(
        "export type CommonField = 1;\nexport type DataSegment = 1;\nexport const domain = 1;\nexport const handler = 1;",
      ),
    ).toBe(0);
  });
});

describe("the documents", () => {
  /** The walk's own file, which the reader is told to write. */
  const madeByTheReader = ["egg-timer-3.ts", "egg-timer-3.test.ts"];

  it("name what is there", () => {
    const missing = text(documentViolations(files));
    expect(missing.filter((line) => !madeByTheReader.some((name) => line.includes(` ${name},`)))).toEqual([]);
  });

  it("that name what is not there are found", () => {
    const names = (source: string): number =>
      documentViolations([file("docs/A.md", source), file("docs/B.md"), file("src/cpu/tlb.ts")]).length;
    expect(names("see `cpu/tlb.ts`, `tlb.ts` and [B](B.md#x)")).toBe(0);
    expect(names("see `cpu/tlbs.ts` and [C](C.md)")).toBe(2);
  });

  it("show the floors as they are", () => {
    const shown = floorsOfDocument(files.find(({ path }) => path === "docs/ARCHITECTURE.md")!.source);
    expect(shown).toEqual([...floors].reverse());
    expect(floorsOfDocument("| `b`, `a` | x |\n| c | `d` |")).toEqual(["b", "a"]);
  });
});

describe("the package", () => {
  it("has no runtime dependency", () => {
    expect(dependencyViolations(packageJson)).toEqual([]);
  });

  it("with a runtime dependency is found out", () => {
    expect(
      dependencyViolations('{"dependencies": {"left-pad": "1.0.0"}, "devDependencies": {"a": "1"}}'),
    ).toHaveLength(1);
    expect(
      dependencyViolations('{"optionalDependencies": {"a": "1"}, "peerDependencies": {"a": "1"}}'),
    ).toHaveLength(2);
    expect(dependencyViolations('{"dependencies": {}, "devDependencies": {"a": "1"}}')).toEqual([]);
  });

  it("names no place of one machine", () => {
    expect(text(placeViolations(files))).toEqual([]);
  });

  it("with a place of one machine is found out", () => {
    const place = (...steps: string[]): SourceFile => file("README.md", `cd ${["", ...steps].join("/")}`);
    for (const top of ["work", "tmp", "home", "root", "Users"])
      expect(placeViolations([place(top, "x")]), top).toHaveLength(1);
    expect(placeViolations([file("a.ts", ["C:", "Users", "x"].join("\\\\"))])).toHaveLength(1);
    expect(
      placeViolations([
        file("package-lock.json", `${["https:", "", "registry.example.org", "x"].join("/")}`),
      ]),
    ).toHaveLength(1);
    expect(placeViolations([file("package-lock.json", `{${JSON.stringify("resolved")}: "x"}`)])).toHaveLength(
      1,
    );
    const mount = `mount -t tmpfs tmpfs ${["", "tmp"].join("/")}; cd src/work/x`;
    expect(placeViolations([place("tmp"), file("a.ts", mount)])).toEqual([]);
  });

  it("has no binary file, and recorded vectors stay under 8 MB", () => {
    expect(text(binaryViolations(files))).toEqual([]);
    const vectors = [...sizes].filter(([path]) => path.startsWith("test/vectors/"));
    expect(vectors.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeLessThan(8_000_000);
  });

  it("with a binary file is found out", () => {
    expect(binaryViolations([file("test/guests/kernel.bin", "\x7fELF\0\0")])).toHaveLength(1);
    expect(binaryViolations([file("test/vectors/add.bin", "\0"), file("a.ts", "export {};")])).toEqual([]);
  });
});
