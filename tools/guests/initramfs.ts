import { gzipSync } from "node:zlib";
import { type CpioEntry, cpioArchive } from "./cpio.ts";
import type { LoadOrder } from "./kernel-modules.ts";

/** The line /init prints first, once it runs: the end of the kernel's own boot. */
export const INIT_MARKER = "worldswitch: init";
/** What /init prints before the interactive shell's first prompt. */
export const SHELL_MARKER = "worldswitch: shell";
/** What /init prints after the command of `ws.run`, followed by a space and the command's exit status. */
export const DONE_MARKER = "worldswitch: done";

/**
 * /init: mounts what a shell expects, loads the modules the board's devices need, then runs the kernel command line's
 * `ws.run="commands"` (no double quotes inside) and powers off, or gives an interactive shell with job control.
 * `ws.modules=a,b` loads further groups.
 */
const INIT = `#!/bin/sh
export PATH=/bin HOME=/root TERM=vt100 PS1='\\w # '
# Without /proc busybox cannot find itself to run an applet.
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
echo '${INIT_MARKER}'
/bin/busybox --install -s /bin
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
load() {
  [ -f /lib/modules/$1.order ] || return
  while read -r file; do
    insmod /lib/modules/$file 2>/dev/null || lsmod | grep -q "^$(basename $file .ko | tr - _) " ||
      echo "worldswitch: cannot load $file" >&2
  done < /lib/modules/$1.order
}
case "$(cat /sys/bus/pci/devices/*/vendor 2>/dev/null)" in *0x1af4*) load virtio ;; esac
ls /dev/vd? >/dev/null 2>&1 && load filesystems
cmdline=$(cat /proc/cmdline)
for group in $(echo "$cmdline" | sed -n 's/.*ws\\.modules=\\([^ ]*\\).*/\\1/p' | tr , ' '); do load $group; done
/lib/linuxrc &
command=$(echo "$cmdline" | sed -n 's/.*ws\\.run="\\([^"]*\\)".*/\\1/p;t;s/.*"ws\\.run=\\([^"]*\\)".*/\\1/p;t;s/.*ws\\.run=\\([^ ]*\\).*/\\1/p')
cd /root
if [ -n "$command" ]; then
  sh -c "$command"
  echo "${DONE_MARKER} $?"
else
  echo '${SHELL_MARKER}'
  setsid cttyhack sh
fi
sync
poweroff -f
`;

/**
 * busybox `halt`, `poweroff` and `reboot` without -f signal a process called linuxrc, or else init. A shell runs no trap while it waits
 * for its foreground child, and a shell it put into the background would ignore Ctrl-C, so the traps live in a process of their own.
 */
const LINUXRC = `#!/bin/sh
trap 'sync; poweroff -f' USR1 USR2
trap 'sync; reboot -f' TERM
while :; do sleep 86400 & wait $!; done
`;

const DIRECTORIES = [
  "bin",
  "dev",
  "etc",
  "lib",
  "lib/modules",
  "mnt",
  "proc",
  "root",
  "sys",
  "tmp",
  "usr",
] as const;

/** What to pack. */
export interface InitramfsContents {
  readonly busybox: Uint8Array;
  /** Groups of modules by name; /init loads "virtio" when a virtio device is present, "filesystems" when a disk is. */
  readonly moduleGroups: ReadonlyMap<string, LoadOrder>;
  /** Further files by path without leading slash; their directories are made. */
  readonly files?: ReadonlyMap<string, { readonly bytes: Uint8Array; readonly mode: number }>;
  readonly compressed: boolean;
}

const text = new TextEncoder();

const parents = (path: string): string[] => {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
};

/** The initramfs, a cpio archive: gzip-compressed or plain. Equal contents give equal bytes. */
export const initramfs = (contents: InitramfsContents): Uint8Array => {
  const { busybox, moduleGroups, files = new Map() } = contents;
  const modules = new Map<string, Uint8Array>();
  const orders: CpioEntry[] = [];
  for (const [group, order] of moduleGroups) {
    for (const module of order.modules) modules.set(module.file, module.bytes);
    const lines = order.modules.map((module) => `${module.file}\n`).join("");
    orders.push({ path: `lib/modules/${group}.order`, bytes: text.encode(lines) });
  }
  const directories = new Set<string>([...DIRECTORIES, ...[...files.keys()].flatMap(parents)]);
  const entries: CpioEntry[] = [
    ...[...directories].map((path) => ({ path, directory: true as const })),
    { path: "dev/console", characterDevice: [5, 1] },
    { path: "dev/null", characterDevice: [1, 3], mode: 0o666 },
    { path: "sbin", link: "bin" },
    { path: "etc/passwd", bytes: text.encode("root::0:0:root:/root:/bin/sh\n") },
    { path: "etc/group", bytes: text.encode("root:x:0:\n") },
    { path: "bin/busybox", bytes: busybox, mode: 0o755 },
    { path: "bin/sh", link: "busybox" },
    ...orders,
    ...[...modules].map(([file, bytes]) => ({ path: `lib/modules/${file}`, bytes })),
    ...[...files].map(([path, file]) => ({ path, ...file })),
    { path: "lib/linuxrc", bytes: text.encode(LINUXRC), mode: 0o755 },
    { path: "init", bytes: text.encode(INIT), mode: 0o755 },
  ];
  const archive = cpioArchive(entries);
  return contents.compressed ? gzipSync(archive, { level: 9 }) : archive;
};

/** Changes when the scripts inside do, so that cached archives with older ones are rebuilt. */
export const SCRIPTS = INIT + LINUXRC;
