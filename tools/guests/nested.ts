/** Debian guests that are hypervisors themselves: one with our KVM client, one with QEMU and a guest for it. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { AptClient } from "./apt.ts";
import { unpack } from "./deb.ts";
import { debianGuest, type Flavour, type Guest, type GuestOptions, type Unavailable } from "./guests.ts";
import { SCRIPTS } from "./initramfs.ts";
import { kvmClient } from "./kvm-client/index.ts";
import { programWithLibraries } from "./shared-libraries.ts";

/** Modules of KVM on either maker's processors; the one that does not fit says so and is not loaded. */
const KVM_GROUPS = { kvm_intel: ["kvm", "kvm_intel"], kvm_amd: ["kvm", "kvm_amd"] } as const;

type Options = Pick<GuestOptions, "cache" | "progress">;

/** Loads KVM for the processor it finds. `/dev/kvm` is there afterwards, or nothing is said. */
const LOAD_KVM = `#!/bin/sh
for group in kvm_intel kvm_amd; do
  case $group in kvm_intel) flag=vmx ;; *) flag=svm ;; esac
  grep -q -m 1 "^flags.* $flag\\( \\|$\\)" /proc/cpuinfo || continue
  while read -r file; do insmod /lib/modules/$file "$@" 2>/dev/null || insmod /lib/modules/$file; done < /lib/modules/$group.order
done
[ -c /dev/kvm ] || echo 'no /dev/kvm: the processor has no virtualization that KVM can use'
`;

/**
 * A guest with Debian's KVM modules and our client of them: `load-kvm; kvm-client test`. Small, so that it boots as fast as the
 * standard one.
 */
export const kvmClientGuest = (flavour: Flavour, options: Options = {}): Promise<Guest | Unavailable> =>
  debianGuest(flavour, {
    ...options,
    variant: "kvm-client",
    moduleGroups: KVM_GROUPS,
    files: { "bin/kvm-client": kvmClient(), "bin/load-kvm": LOAD_KVM },
  });

/**
 * What the inner kernel runs first: its console is a virtio device whose driver is a module, so the kernel itself has none to give.
 * With it loaded, /init has a terminal.
 */
const VIRTIO_CONSOLE_INIT = `#!/bin/sh
exec </dev/null >/dev/null 2>&1
/bin/busybox mount -t devtmpfs devtmpfs /dev
while read -r file; do /bin/busybox insmod /lib/modules/$file; done < /lib/modules/virtio.order
tries=100
while [ ! -c /dev/hvc0 ] && [ $tries -gt 0 ]; do /bin/busybox sleep 0.1; tries=$((tries - 1)); done
exec /init </dev/hvc0 >/dev/hvc0 2>&1
`;

/** Boots the inner guest: \`nested PROCESSORS [COMMANDS]\`; without commands it gives a shell. */
const NESTED = `#!/bin/sh
processors=\${1:-1}
[ $# -gt 0 ] && shift
run=
[ $# -gt 0 ] && run="ws.run=\\"$*\\""
[ -c /dev/kvm ] || load-kvm
exec /usr/bin/qemu-system-x86_64 -L /usr/share/qemu -M microvm,isa-serial=off -accel kvm -cpu host \\
  -smp $processors -m 192 -nodefaults -no-user-config -display none -no-reboot \\
  -chardev stdio,id=console,signal=off -device virtio-serial-device -device virtconsole,chardev=console \\
  -kernel /nested/vmlinuz -initrd /nested/initrd \\
  -append "console=hvc0 quiet panic=-1 rdinit=/bin/virtio-console-init $run"
`;

/** The guest's guest: Debian's cloud kernel and busybox, with the drivers of a machine without PCI. */
const innerGuest = (options: Options): Promise<Guest | Unavailable> =>
  debianGuest("cloud-amd64", {
    ...options,
    variant: "nested-inner",
    moduleGroups: { virtio: ["virtio_mmio", "virtio_console"], filesystems: [] },
    files: { "bin/virtio-console-init": VIRTIO_CONSOLE_INIT },
    compressed: false,
  });

/** Firmware that QEMU's microvm takes: SeaBIOS, and the option ROM that loads a kernel. */
const FIRMWARE = { "qemu-system-data": ["linuxboot_dma.bin", "kvmvapic.bin"], seabios: ["bios-microvm.bin"] };

const firmware = async (apt: AptClient): Promise<Map<string, Uint8Array> | Unavailable> => {
  const files = new Map<string, Uint8Array>();
  for (const [packageName, names] of Object.entries(FIRMWARE)) {
    const packageFile = apt.fetch(packageName, "amd64");
    if (typeof packageFile !== "string") return packageFile;
    const found = await unpack(packageFile, (path) => names.some((name) => path.endsWith(`/${name}`)));
    if (!(found instanceof Map)) return found;
    for (const name of names) {
      const file = [...found.values()].find(
        ({ path, link }) => link === undefined && path.endsWith(`/${name}`),
      );
      if (file === undefined) return { unavailable: `${packageFile} holds no ${name}` };
      files.set(`usr/share/qemu/${name}`, file.bytes);
    }
  }
  return files;
};

/** Changes when anything of ours in the guest does, or the packages behind its own guest. */
const recipeOf = (inner: Guest): string => {
  const texts = [SCRIPTS, LOAD_KVM, NESTED, VIRTIO_CONSOLE_INIT, JSON.stringify([KVM_GROUPS, FIRMWARE])];
  const hash = createHash("sha256").update(kvmClient()).update(readFileSync(inner.initrd));
  for (const text of [...texts, ...inner.packages]) hash.update(text);
  return hash.digest("hex");
};

/** Notes which recipe the cached guest was made by, so that a later run need not ask apt about fifty packages. */
class RecipeNote {
  readonly #file: string;
  readonly #recipe: string;

  constructor(file: string, recipe: string) {
    this.#file = file;
    this.#recipe = recipe;
  }

  get guest(): Guest | undefined {
    if (!existsSync(this.#file)) return undefined;
    const { recipe, guest } = JSON.parse(readFileSync(this.#file, "utf8")) as {
      recipe: string;
      guest: Guest;
    };
    const isWhole = recipe === this.#recipe && existsSync(guest.kernel) && existsSync(guest.initrd);
    return isWhole ? guest : undefined;
  }

  keep(guest: Guest): void {
    writeFileSync(this.#file, `${JSON.stringify({ recipe: this.#recipe, guest }, null, 2)}\n`);
  }
}

/**
 * A guest with Debian's QEMU, its libraries and a guest for it: `nested 1` in its shell boots Debian's cloud kernel on KVM in
 * QEMU's microvm. The initramfs is not compressed: unpacking it would take the guest longer than loading it takes the host.
 */
export const nestedGuest = async (options: Options = {}): Promise<Guest | Unavailable> => {
  const cache = resolve(options.cache ?? join(".cache", "guests"));
  const progress = (line: string): void => options.progress?.(`nested guest: ${line}`);
  const inner = await innerGuest(options);
  if ("unavailable" in inner) return inner;
  const note = new RecipeNote(join(cache, "nested.json"), recipeOf(inner));
  if (note.guest !== undefined) return note.guest;
  const apt = new AptClient(cache, progress);
  progress("collecting QEMU and its libraries from their packages");
  const qemu = await programWithLibraries(apt, "qemu-system-x86", "usr/bin/qemu-system-x86_64");
  if ("unavailable" in qemu) return qemu;
  const roms = await firmware(apt);
  if (!(roms instanceof Map)) return roms;
  const size = [...qemu.files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  progress(`QEMU and ${qemu.files.size - 1} libraries are ${(size / 1e6).toFixed(1)} MB`);
  const guest = await debianGuest("cloud-amd64", {
    ...options,
    variant: "nested",
    compressed: false,
    moduleGroups: KVM_GROUPS,
    files: {
      ...Object.fromEntries(qemu.files),
      ...Object.fromEntries(roms),
      "nested/vmlinuz": readFileSync(inner.kernel),
      "nested/initrd": readFileSync(inner.initrd),
      "bin/kvm-client": kvmClient(),
      "bin/load-kvm": LOAD_KVM,
      "bin/nested": NESTED,
    },
  });
  if (!("unavailable" in guest)) note.keep(guest);
  return guest;
};
