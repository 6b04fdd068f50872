import { defineConfig } from "vitest/config";

/** Tests that stand beside their code but run whole guests, or try every bit: seconds each. */
const long = [
  "src/hypervisors/**/*.test.ts",
  "src/machine/pc.test.ts",
  "src/vmx/checks/*.test.ts",
  "src/vmx/ept.test.ts",
  "src/codegen/float-lane.test.ts",
];

export default defineConfig({
  test: {
    // One for each of the two cores that the times in docs/SPECIFICATION.md are of; the default leaves one of them idle.
    maxWorkers: 2,
    projects: [
      // Unit tests share one module graph: loading it anew for every file would take longer than the tests.
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "tools/bench/*.test.ts"],
          exclude: long,
          pool: "threads",
          isolate: false,
          setupFiles: ["test/tier.setup.ts"],
        },
      },
      {
        test: {
          name: "system",
          include: ["test/**/*.test.ts", ...long],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          globalSetup: ["test/build.setup.ts"],
          setupFiles: ["test/tier.setup.ts"],
        },
      },
    ],
  },
});
