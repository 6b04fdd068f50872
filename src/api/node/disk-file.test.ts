import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DiskFile } from "./disk-file.ts";

let directory: string;
let image: string;
const opened: DiskFile[] = [];

const open = (name: string, readOnly = false): DiskFile => {
  const disk = DiskFile.open(name, { readOnly });
  if (!(disk instanceof DiskFile)) throw new Error(disk.message);
  opened.push(disk);
  return disk;
};
const refusal = (name: string, readOnly = false): string => {
  const disk = DiskFile.open(name, { readOnly });
  if (disk instanceof DiskFile) throw new Error(`${name} was opened`);
  return disk.message;
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "worldswitch-disk-"));
  image = join(directory, "image");
  writeFileSync(image, new Uint8Array(4096).fill(7));
});
afterEach(() => {
  for (const disk of opened.splice(0)) disk.close();
  rmSync(directory, { recursive: true });
});

describe("a disk file", () => {
  it("reads back what was written, and keeps it", () => {
    const disk = open(image);
    expect([disk.sectors, disk.readOnly]).toEqual([8, false]);
    const sector = new Uint8Array(1024).fill(0xab);
    expect(disk.write(3, sector)).toBeUndefined();
    expect(disk.read(3, 2)).toEqual(sector);
    expect(disk.flush()).toBeUndefined();
    expect(readFileSync(image).subarray(1536, 2560)).toEqual(Buffer.from(sector));
  });

  it("has a last sector filled up with zeros, which writing completes", () => {
    writeFileSync(image, new Uint8Array(700).fill(7));
    const disk = open(image);
    expect(disk.sectors).toBe(2);
    const last = disk.read(1, 1) as Uint8Array;
    expect([last[187], last[188], last[511]]).toEqual([7, 0, 0]);
    disk.write(1, last);
    expect(statSync(image).size).toBe(1024);
  });

  it("tells an I/O error as a value", () => {
    expect(open(image, true).write(0, new Uint8Array(512))).toEqual({
      failed: expect.stringMatching(/^disk .*image cannot be written: /),
    });
  });
});

describe("a disk file's lock", () => {
  it("keeps a second writer and readers out, by whatever name, until the first closes", () => {
    const link = join(directory, "link");
    symlinkSync(image, link);
    const first = open(image);
    for (const name of [image, link])
      expect(refusal(name)).toMatch(new RegExp(`is locked: process ${process.pid} writes to it`));
    expect(refusal(image, true)).toMatch(/is locked/);
    first.close();
    expect(existsSync(`${image}.lock`)).toBe(false);
    open(image);
  });

  it("is not taken by readers", () => {
    open(image, true);
    open(image, true);
    open(image);
  });

  it("of a process that died does not count", () => {
    const dead = spawnSync(process.execPath, ["-e", "console.log(process.pid)"], { encoding: "utf8" });
    writeFileSync(`${image}.lock`, `${dead.stdout.trim()} 1\n`);
    open(image);
  });

  it("of a living process counts, and of one that has its number since then does not", async () => {
    const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    try {
      const start = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]!.split(" ")[19];
      writeFileSync(`${image}.lock`, `${child.pid} ${start}\n`);
      expect(refusal(image)).toMatch(new RegExp(`process ${child.pid} `));
      writeFileSync(`${image}.lock`, `${child.pid} 1\n`);
      open(image);
    } finally {
      child.kill();
    }
  });
});

describe("a file that cannot be a disk", () => {
  it.each([
    [
      "missing",
      false,
      /^disk .*missing cannot be opened for reading and writing \(",ro" opens it read-only\): there is no such file$/,
    ],
    ["missing", true, /^disk .*missing cannot be opened for reading: there is no such file$/],
    [".", true, /is not a regular file, expected a disk image$/],
    [".", false, /cannot be opened for reading and writing .*: it is a directory$/],
    ["empty", false, /empty is empty, expected a disk image of one sector or more$/],
  ])("is refused in one sentence: %s, read-only %s", (name, readOnly, message) => {
    writeFileSync(join(directory, "empty"), "");
    expect(refusal(join(directory, name), readOnly)).toMatch(message);
    expect(existsSync(join(directory, `${name}.lock`))).toBe(false);
  });
});
