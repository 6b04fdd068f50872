import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // One for each of the two cores that the times in docs/SPECIFICATION.md are of; the default leaves one of them idle.
    maxWorkers: 2,
    projects: [
      // Unit tests share one module graph: loading it anew for every file would take longer than the tests.
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts"],
          exclude: ["src/hypervisors/**"],
          pool: "threads",
          isolate: false,
        },
      },
      {
        test: {
          name: "system",
          // The hypervisors' tests run whole guests.
          include: ["test/**/*.test.ts", "src/hypervisors/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          globalSetup: ["test/build.setup.ts"],
        },
      },
    ],
  },
});
