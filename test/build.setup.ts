import { spawnSync } from "node:child_process";

/** The system tests run the program as it is shipped: compiled. */
export const setup = (): void => {
  const build = spawnSync("npm", ["run", "--silent", "build"], { encoding: "utf8" });
  if (build.status !== 0) throw new Error(`npm run build failed:\n${build.stdout}${build.stderr}`);
};
