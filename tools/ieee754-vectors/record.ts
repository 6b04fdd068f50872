/**
 * `npx tsx tools/ieee754-vectors/record.ts`: executes 300 random cases per mnemonic on this processor (which should be
 * Intel's: x87 transcendental functions, and out-of-range operands, differ by maker) and writes them to
 * test/vectors/ieee754/executions.br.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { withGenerator } from "./generator.ts";

const SEED = "1";
const CASES = "300";

const text = withGenerator((program) => execFileSync(program, [SEED, CASES], { maxBuffer: 1 << 28 }));
const compressed = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_LGWIN]: 24 } });
const directory = fileURLToPath(new URL("../../test/vectors/ieee754/", import.meta.url));
mkdirSync(directory, { recursive: true });
writeFileSync(`${directory}executions.br`, compressed);
console.log(`${text.toString().split("\n").length - 1} executions, ${compressed.length} bytes`);
