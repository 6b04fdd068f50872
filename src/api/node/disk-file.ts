import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { type BlockStorage, SECTOR_LENGTH, type StorageFailure } from "../../devices/virtio-blk.ts";
import type { Refusal } from "../files.ts";

type SystemError = Error & { readonly code?: string };

const complaints: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  EISDIR: "it is a directory",
};

const complaint = (error: unknown): string => {
  const { code = "", message } = error as SystemError;
  return complaints[code] ?? message;
};

/** When a process started, so that a number that was given again is not taken for it; "" where the system does not tell. */
const startOf = (pid: number): string => {
  try {
    // proc(5): the second field, in parentheses, may hold spaces; starttime is field 22.
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    return status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as SystemError).code === "EPERM";
  }
};

const ownMark = (): string => `${process.pid} ${startOf(process.pid)}\n`;

/** The process that holds a lock file; undefined when there is none, or it has died. */
const holderOf = (lockName: string): number | undefined => {
  let mark: string;
  try {
    mark = readFileSync(lockName, "utf8");
  } catch {
    return undefined;
  }
  const [pid = "", start = ""] = mark.trim().split(" ");
  const number = Number(pid);
  if (!Number.isInteger(number) || number <= 0 || !isAlive(number)) return undefined;
  return start === startOf(number) ? number : undefined;
};

/** Makes the lock file, or says which process has it. The file appears with its contents at once, by a hard link. */
const takeLock = (lockName: string): "taken" | { readonly holder: number } => {
  const own = `${lockName}.${process.pid}`;
  writeFileSync(own, ownMark());
  try {
    for (;;) {
      try {
        linkSync(own, lockName);
        return "taken";
      } catch (error) {
        if ((error as SystemError).code !== "EEXIST") throw error;
      }
      const holder = holderOf(lockName);
      if (holder !== undefined) return { holder };
      // Its process has died. Of several that find this out, one gets to move it away.
      const stale = `${own}.stale`;
      try {
        renameSync(lockName, stale);
        rmSync(stale, { force: true });
      } catch (error) {
        if ((error as SystemError).code !== "ENOENT") throw error;
      }
    }
  } finally {
    rmSync(own, { force: true });
  }
};

/**
 * A disk in a file. A file that does not end on a sector boundary has one more sector, whose missing bytes read as zeros; writing that
 * sector makes the file whole. A writer holds the lock file NAME.lock, by which a second writer or a reader is refused;
 * one that a dead process left behind does not count.
 */
export class DiskFile implements BlockStorage {
  readonly name: string;
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly #lockName: string | undefined;
  #file: number | undefined;

  private constructor(
    name: string,
    file: number,
    sectors: number,
    readOnly: boolean,
    lockName: string | undefined,
  ) {
    this.name = name;
    this.#file = file;
    this.sectors = sectors;
    this.readOnly = readOnly;
    this.#lockName = lockName;
  }

  /** Opens a file as a disk; a sentence where that cannot be. */
  static open(name: string, options: { readonly readOnly?: boolean } = {}): DiskFile | Refusal {
    const readOnly = options.readOnly ?? false;
    let file: number | undefined;
    let lockName: string | undefined;
    const refuse = (message: string): Refusal => {
      if (file !== undefined) closeSync(file);
      if (lockName !== undefined) rmSync(lockName, { force: true });
      return { message };
    };
    try {
      file = openSync(name, readOnly ? "r" : "r+");
      const status = fstatSync(file);
      if (!status.isFile()) return refuse(`disk ${name} is not a regular file, expected a disk image`);
      if (status.size === 0)
        return refuse(`disk ${name} is empty, expected a disk image of one sector or more`);
      const wanted = `${realpathSync(name)}.lock`;
      const lock = readOnly ? holderOf(wanted) : takeLock(wanted);
      if (lock === "taken") lockName = wanted;
      else if (lock !== undefined)
        return refuse(
          `disk ${name} is locked: process ${typeof lock === "number" ? lock : lock.holder} writes to it (${wanted})`,
        );
      return new DiskFile(name, file, Math.ceil(status.size / SECTOR_LENGTH), readOnly, lockName);
    } catch (error) {
      const how = readOnly ? "for reading" : `for reading and writing (",ro" opens it read-only)`;
      return refuse(`disk ${name} cannot be opened ${how}: ${complaint(error)}`);
    }
  }

  read(sector: number, count: number): Uint8Array | StorageFailure {
    const bytes = new Uint8Array(count * SECTOR_LENGTH);
    try {
      for (let done = 0; done < bytes.length; ) {
        const got = readSync(this.#open(), bytes, done, bytes.length - done, sector * SECTOR_LENGTH + done);
        if (got === 0) break;
        done += got;
      }
    } catch (error) {
      return this.#failure("read", error);
    }
    return bytes;
  }

  write(sector: number, bytes: Uint8Array): StorageFailure | undefined {
    try {
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.#open(), bytes, done, bytes.length - done, sector * SECTOR_LENGTH + done);
    } catch (error) {
      return this.#failure("written", error);
    }
    return undefined;
  }

  flush(): StorageFailure | undefined {
    if (this.readOnly) return undefined;
    try {
      fsyncSync(this.#open());
    } catch (error) {
      return this.#failure("flushed", error);
    }
    return undefined;
  }

  /** Flushes, closes and unlocks. Closing again does nothing. */
  close(): StorageFailure | undefined {
    if (this.#file === undefined) return undefined;
    const failure = this.flush();
    closeSync(this.#file);
    this.#file = undefined;
    if (this.#lockName !== undefined) rmSync(this.#lockName, { force: true });
    return failure;
  }

  #open(): number {
    if (this.#file === undefined) throw new Error(`${this.name} is closed`);
    return this.#file;
  }

  #failure(what: string, error: unknown): StorageFailure {
    return { failed: `disk ${this.name} cannot be ${what}: ${complaint(error)}` };
  }
}
