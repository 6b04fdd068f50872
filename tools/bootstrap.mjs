/**
 * Makes a fresh clone ready: dependencies and the compiled program. Plain JavaScript on Node's own modules, because it runs before
 * anything is installed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const OLDEST_NODE = 20;

/** Runs a command in the clone, its output shown; true when it succeeded. */
export const run = (program, args, options = {}) =>
  spawnSync(program, args, { cwd: root, stdio: "inherit", ...options }).status === 0;

const lockfile = (name) => JSON.parse(readFileSync(join(root, name), "utf8")).packages;

/** Is every package of package-lock.json installed in its version? Optional ones are for other platforms. */
const isInstalled = () => {
  if (!existsSync(join(root, "node_modules", ".package-lock.json"))) return false;
  const installed = lockfile(join("node_modules", ".package-lock.json"));
  return Object.entries(lockfile("package-lock.json")).every(([path, { version, optional }]) => {
    if (path === "") return true;
    return installed[path] === undefined ? optional === true : installed[path].version === version;
  });
};

const fail = (message) => {
  console.error(`worldswitch: ${message}`);
  process.exit(1);
};

export const installDependencies = () => {
  if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE)
    fail(`Node is ${process.versions.node}, expected ${OLDEST_NODE} or later`);
  if (isInstalled()) return;
  console.error("worldswitch: installing what the build needs (npm ci)");
  if (!run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]))
    fail("npm ci failed; is the network there?");
};

export const build = () => {
  if (!run("npm", ["run", "--silent", "build"])) fail("the build failed (npm run build)");
};
