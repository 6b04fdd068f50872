import { describe, expect, it } from "vitest";
import { maximumCodeBytes } from "../../src/cpu/execution-engine.ts";
import { type BareProcessor, bareProcessor } from "../conformance/bare-processor.ts";
import { places } from "../conformance/program-places.ts";
import { placeProgram } from "../conformance/random-program.ts";

/** What is compared in the end. */
const outcome = ({ processor, guest }: BareProcessor): string =>
  Buffer.from(processor.state.architectural()).toString("hex") + Buffer.from(guest.ram()).toString("base64");

interface Run {
  readonly outcome: string;
  readonly bare: BareProcessor;
  /** The most WebAssembly that was alive at a time, bytes; and how often everything was made anew. */
  readonly mostBytes: number;
}

/** Run a 64-bit program until it halts. With the JIT forced, whatever is entered becomes a region. */
const run = (tier: "jit" | "interpreter", source: string): Run => {
  const bare = bareProcessor(places.ramBytes);
  const { engine, processor } = bare;
  engine.tier = tier;
  engine.eager = tier === "jit";
  placeProgram(bare, 3, 64, `bits 64\norg ${places.code}\nstart:\n${source}\nhlt`);
  let mostBytes = 0;
  for (let turns = 0; processor.state.activity === 0 && turns < 100_000; turns++) {
    processor.run(1000);
    mostBytes = Math.max(mostBytes, engine.module.codeBytes);
  }
  expect(processor.state.activity).toBe(1);
  return { outcome: outcome(bare), bare, mostBytes };
};

const entry = (page: number): string => `[0x${(places.table + (page >>> 9)).toString(16)}]`;

/** Guests that translate badly. Each must give what the interpreter gives. */
// biome-ignore format: one row per fact
const guests: Readonly<Record<string, string>> = {
  "changes an immediate of the loop it runs, in each turn":
    "mov ecx, 900\nagain: mov eax, 1\nadd rbx, rax\nadd dword ptr [again + 1], 7\nrol rbx, 3\ndec ecx\njnz again",
  "changes the instruction right behind the store":
    "mov ecx, 600\nagain: mov byte ptr [next + 1], cl\nnext: mov eax, 0\nadd rbx, rax\ndec ecx\njnz again",
  "turns an instruction of its loop into another and back":
    "mov ecx, 600\nagain: xor byte ptr [flip], 0x28\nflip: add ebx, ecx\nrol ebx, 1\ndec ecx\njnz again",
  "changes its loop through another mapping of the page":
    `mov ecx, 600\nagain: mov eax, 1\nadd rbx, rax\nadd dword ptr [again + 1 + ${places.alias - places.code}], 3\ndec ecx\njnz again`,
  "runs one page at two addresses in turn":
    `mov ecx, 900\nmov r9d, ${places.alias - places.code}\nagain: call leaf\nlea rax, [leaf]\nadd rax, r9\ncall rax\ndec ecx\njnz again\nhlt\nleaf: call here\nhere: pop rdx\nadd rbx, rdx\nret`,
  "maps another frame where it runs, and goes on in that":
    `mov ecx, 600
     lea rsi, [first]
     mov rdi, ${places.data}
     mov r8d, ecx
     mov ecx, 64
     rep movsb
     lea rsi, [second]
     mov rdi, ${places.data + 0x1000}
     mov ecx, 64
     rep movsb
     mov ecx, r8d
     mov dword ptr ${entry(places.remapped)}, ${places.data | 0x63}
     invlpg [${places.remapped}]
again: mov rax, ${places.remapped}
     call rax
     dec ecx
     jnz again
     hlt
first: mov dword ptr ${entry(places.remapped)}, ${(places.data + 0x1000) | 0x63}
     invlpg [${places.remapped}]
     add rbx, 1
     ret
     align 64
second: mov dword ptr ${entry(places.remapped)}, ${places.data | 0x63}
     invlpg [${places.remapped}]
     add rbx, 2
     ret`,
  "remaps a page between two calls of it":
    `mov ecx, 600\nmov byte ptr [${places.data}], 0xc3\nmov dword ptr [${places.data + 0x1000}], 0xc3c3ff48\nmov eax, ${places.data | 0x63}
again: mov dword ptr ${entry(places.remapped)}, eax\ninvlpg [${places.remapped}]\nxor eax, ${places.data ^ (places.data + 0x1000)}
     mov rdx, ${places.remapped}\ncall rdx\ndec ecx\njnz again`,
  "jumps into the middle of an instruction in every second turn":
    "mov ecx, 900\nagain: test cl, 1\njz whole + 1\nwhole: mov eax, 0x90c3ff48\nadd rbx, rax\ndec ecx\njnz again",
  "jumps back into the middle of its own loop's first instruction":
    "mov ecx, 900\nagain: mov eax, 0x90909090\nadd rbx, rcx\ndec ecx\njz out\ntest cl, 2\njz again + 1\njmp again\nout: nop",
  "writes a page of code word by word while it runs there":
    "mov ecx, 1500\nagain: lea rdi, [room]\nmov [rdi + rcx], cl\nadd rbx, [rdi + rcx - 3]\ndec ecx\njnz again\nhlt\nroom: times 1600 nop",
};

describe("a guest that", () => {
  it.each(Object.entries(guests))(
    "%s does with the JIT forced what it does with the interpreter",
    (_name, source) => {
      const forced = run("jit", source);
      expect(forced.outcome).toBe(run("interpreter", source).outcome);
      expect(forced.bare.engine.cache.hot.regions).toBeGreaterThan(0);
      expect(forced.mostBytes).toBeLessThan(maximumCodeBytes);
    },
  );

  it("makes code without end gets the same results, and what is translated stays bounded", () => {
    // Each turn fills three pages with functions of other constants than before, and calls each of them twice.
    const end = places.data + 0x2fc0;
    const source = `
      mov ecx, 12
again: mov rdi, ${places.data}
write: mov byte ptr [rdi], 0xb8
      mov [rdi + 1], edi
      mov [rdi + 3], cl
      mov dword ptr [rdi + 5], 0xc3c30148
      add rdi, 48
      cmp rdi, ${end}
      jb write
      mov edx, 2
pass: mov rdi, ${places.data}
use:  call rdi
      add rdi, 48
      cmp rdi, ${end}
      jb use
      dec edx
      jnz pass
      dec ecx
      jnz again`;
    const forced = run("jit", source);
    expect(forced.outcome).toBe(run("interpreter", source).outcome);
    // More was translated than is kept: what was not seen for longest has gone.
    expect(forced.bare.engine.cache.hot.evicted).toBeGreaterThan(0);
    expect(forced.mostBytes).toBeLessThan(maximumCodeBytes);
  });
});
