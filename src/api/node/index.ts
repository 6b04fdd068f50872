/** What only Node can offer to the library: disks in files. */
export { DiskFile } from "./disk-file.ts";
export { tierFromEnvironment } from "./tier-from-environment.ts";
