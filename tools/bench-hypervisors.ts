/**
 * `npm run bench:hypervisors [-- --runs N] [--only NAME,...] [--skip linux|trips] [--json FILE]`: what the four hypervisors cost beside
 * the machine alone, in turns. First the round trips of one VM exit that the kernel answers by itself, CPUID and the hypercall; then
 * Debian's kernel as the guest: from power-on to init, and a sha256sum and a sort whose results are verified. Times are this
 * process's processor time between two marks that the guest prints; the least of all runs counts.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { assemble, type HypervisorName, Machine } from "worldswitch";
import { root, table } from "./contenders.ts";
import { debianGuest, INIT_MARKER } from "./guests/guests.ts";

const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "2" },
    only: { type: "string" },
    skip: { type: "string", default: "" },
    json: { type: "string" },
    processors: { type: "string", default: "1" },
  },
});
const runs = Number(options.runs);
const processors = Number(options.processors);
if (!(runs >= 1) || !(processors >= 1)) {
  console.error("--runs and --processors take numbers of 1 or more");
  process.exit(2);
}

/** Where the guest runs: on the machine itself, or under a hypervisor. */
type Place = HypervisorName | "machine";
const places: readonly Place[] = ["machine", "bhyve", "kvm", "akaros", "lguest"];
const wanted = options.only?.split(",");
const isWanted = (place: Place): boolean => wanted === undefined || wanted.includes(place);

const seconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** A guest that prints a mark before and after something. Undefined: it did not come so far, or printed another one. */
const between = async (machine: Machine, from: string, to: string): Promise<number | undefined> => {
  if ((await machine.run({ until: from, timeout: 200 })).reason !== "until") return undefined;
  const begun = seconds();
  if ((await machine.run({ until: to, timeout: 200 })).reason !== "until") return undefined;
  return seconds() - begun;
};

/* ----------------------------------------------------------------------------------------------------------- round trips */

const printing = (letter: string): string => `mov dx, 0x3f8\n mov al, '${letter}'\n out dx, al\n`;
const origin = 0x10_0000;
/** 64-bit code; R12 counts down. What is done is done once before the first mark, and its result must be the same each time. */
const loop = (body: string): string => `
        mov rsp, 0x200000
        mov ecx, 0xc0000080             ; SYSCALL and no-execute pages, as every kernel turns them on
        rdmsr
        or eax, 0x801
        wrmsr
${body} mov r13d, eax
        mov r12d, 20000
warm:   ${body} dec r12d
        jnz warm
        ${printing("<")}
        mov r12d, COUNT
again:  ${body} cmp eax, r13d
        jne wrong
        dec r12d
        jnz again
        ${printing(">")}
        jmp $
wrong:  ${printing("!")}
        jmp $`;
const lguestLoop = (body: string): string => `
        db "GenuineLguest"
        mov esp, 0xc0200000
        mov edx, shared - 0xc0000000
        mov eax, 1                      ; INIT
        int 31
        mov ebp, 20000
warm:   ${body} dec ebp
        jnz warm
        mov edx, 0                      ; SEND_DMA to the console
        mov ebx, begun - 0xc0000000
        mov eax, 13
        int 31
        mov ebp, COUNT
again:  ${body} dec ebp
        jnz again
        mov edx, 0
        mov ebx, ended - 0xc0000000
        mov eax, 13
        int 31
        jmp $
        align 4
begun:  dd 0, text - 0xc0000000
        times 15 dd 0
        dw 1
        times 15 dw 0
ended:  dd 0, text - 0xc0000000 + 1
        times 15 dd 0
        dw 1
        times 15 dw 0
text:   db "<>"
        align 4096
shared: times 12 db 0
        times 64 db 255
        times 1044 db 0
`;

interface Trip {
  readonly title: string;
  readonly places: readonly Place[];
  readonly count: number;
  code(place: Place): string;
}

const trips: readonly Trip[] = [
  {
    title: "CPUID",
    places: ["machine", "bhyve", "kvm", "akaros"],
    count: 300_000,
    code: () => loop("xor eax, eax\n xor ecx, ecx\n cpuid\n"),
  },
  {
    title: "hypercall",
    places: ["kvm", "akaros", "lguest"],
    count: 200_000,
    // KVM knows no call 99 and says so; Akaros prints a character; lguest notes that CR0.TS is clear.
    code: (place) =>
      place === "lguest"
        ? lguestLoop("xor edx, edx\n mov eax, 8\n int 31\n")
        : loop("xor edi, edi\n mov eax, 99\n vmcall\n"),
  },
];

const timeTrip = async (trip: Trip, place: Place): Promise<number | string> => {
  const code = trip.code(place).replaceAll("COUNT", String(trip.count));
  const isLguest = place === "lguest";
  const program = assemble(isLguest ? `bits 32\n${code}` : code, {
    codeSize: isLguest ? 32 : 64,
    origin: isLguest ? 0xc000_0000 + origin : origin,
  });
  if (program.kind === "errors") throw new Error(program.errors[0]?.message);
  const machine = await Machine.create({
    memoryMiB: 8,
    ...(place === "machine" ? {} : { hypervisor: place }),
  });
  const image = { protocol: "flat", address: origin, mode: isLguest ? "protected32" : "long64" } as const;
  const booted = await machine.boot({ image: program.bytes, ...image });
  if (booted.message !== undefined) return booted.message;
  const time = await between(machine, "<", ">");
  return time === undefined ? "did not come back right" : (time * 1e6) / trip.count;
};

/* ----------------------------------------------------------------------------------------------------------------- Linux */

const count = 20_000;
const shaBytes = 16 << 20;
const numbers = Array.from({ length: count }, (_, n) => (n * 7919 + 13) % count).sort((a, b) => a - b);
const sha = createHash("sha256").update(Buffer.alloc(shaBytes)).digest("hex");
const sorted = createHash("md5")
  .update(`${numbers.join("\n")}\n`)
  .digest("hex");
// The marks are put together by the shell, so that the echo of the command line in the kernel's log is none.
const script = [
  `seq 0 ${count - 1} | awk '{ print ($1 * 7919 + 13) % ${count} }' > numbers`,
  `echo sha''-begins; head -c ${shaBytes} /dev/zero | sha256sum; echo sha''-ends`,
  "echo sort''-begins; sort -n numbers | md5sum; echo sort''-ends",
].join("; ");

interface LinuxTimes {
  readonly boot: number;
  readonly sha256sum: number;
  readonly sort: number;
  readonly exits: number;
}

const guest = options.skip.includes("linux")
  ? { unavailable: "left out" }
  : await debianGuest("cloud-amd64", { cache: join(root, ".cache", "guests"), progress: console.error });

const timeLinux = async (place: Place): Promise<LinuxTimes | string> => {
  if ("unavailable" in guest) return guest.unavailable;
  const machine = await Machine.create({
    memoryMiB: 512,
    processors,
    ...(place === "machine" ? {} : { hypervisor: place }),
  });
  machine.vmx.watchExits();
  let text = "";
  machine.serial.on("data", (chunk) => {
    text += Buffer.from(chunk).toString("latin1");
  });
  const booted = await machine.boot({
    image: readFileSync(guest.kernel),
    initrd: readFileSync(guest.initrd),
    commandLine: `console=ttyS0 quiet ws.run="${script}"`,
  });
  if (booted.message !== undefined) return booted.message;
  const begun = seconds();
  if ((await machine.run({ until: INIT_MARKER, timeout: 200 })).reason !== "until")
    return "did not come to init";
  const boot = seconds() - begun;
  const sha256sum = await between(machine, "sha-begins", "sha-ends");
  const sort = await between(machine, "sort-begins", "sort-ends");
  if (!text.includes(sha)) return "sha256sum printed another sum";
  if (!text.includes(sorted)) return "sort printed something else";
  const exits = machine.vmx.exits.reduce((sum, { count }) => sum + count, 0);
  const end = await machine.run({ timeout: 200 });
  if (end.reason !== "power-off") return `ended by ${end.reason}`;
  return sha256sum === undefined || sort === undefined ? "was too slow" : { boot, sha256sum, sort, exits };
};

/* ---------------------------------------------------------------------------------------------------------------- tables */

let failures = 0;
const tell = (place: Place, what: string, outcome: number | string | LinuxTimes): void => {
  if (typeof outcome === "string") failures++;
  const said = typeof outcome === "object" ? JSON.stringify(outcome) : outcome;
  console.error(`${place}: ${what} ${typeof said === "number" ? `${said.toFixed(2)} us` : said}`);
};

const tripTimes = new Map<string, number>();
if (!options.skip.includes("trips"))
  for (let run = 0; run < runs; run++)
    for (const trip of trips)
      for (const place of trip.places.filter(isWanted)) {
        const time = await timeTrip(trip, place);
        tell(place, trip.title, time);
        const key = `${trip.title} ${place}`;
        if (typeof time === "number")
          tripTimes.set(key, Math.min(time, tripTimes.get(key) ?? Number.POSITIVE_INFINITY));
      }

const linux = new Map<Place, LinuxTimes>();
if (!("unavailable" in guest))
  for (let run = 0; run < runs; run++)
    for (const place of places.filter((one) => one !== "lguest" && isWanted(one))) {
      const times = await timeLinux(place);
      tell(place, "Linux", times);
      if (typeof times === "string") continue;
      const best = linux.get(place) ?? times;
      linux.set(place, {
        boot: Math.min(best.boot, times.boot),
        sha256sum: Math.min(best.sha256sum, times.sha256sum),
        sort: Math.min(best.sort, times.sort),
        exits: times.exits,
      });
    }
else console.error(`no Linux guest: ${guest.unavailable}`);

const alone = linux.get("machine");
const share = (place: Place, what: "boot" | "sha256sum" | "sort"): string => {
  const mine = linux.get(place)?.[what];
  if (mine === undefined) return "-";
  return alone === undefined || place === "machine"
    ? `${mine.toFixed(2)} s`
    : `${mine.toFixed(2)} s, ${Math.round((100 * alone[what]) / mine)} %`;
};
const trip = (title: string, place: Place): string => {
  const time = tripTimes.get(`${title} ${place}`);
  return time === undefined ? "-" : `${time.toFixed(2)} us`;
};
console.log(
  "\nProcessor time; round trips of one exit answered in the host kernel, and Debian's kernel as the guest.\n",
);
console.log(
  table([
    ["", "CPUID", "hypercall", "power-on to init", "sha256sum of 16 MiB", "sort of 20,000", "VM exits"],
    ...places
      .filter(isWanted)
      .map((place) => [
        place,
        trip("CPUID", place),
        trip("hypercall", place),
        share(place, "boot"),
        share(place, "sha256sum"),
        share(place, "sort"),
        String(linux.get(place)?.exits ?? "-"),
      ]),
  ]),
);
console.log("\nPer cent: of the speed of the machine alone.");
if (options.json !== undefined)
  writeFileSync(
    options.json,
    `${JSON.stringify({ runs, trips: Object.fromEntries(tripTimes), linux: Object.fromEntries(linux) }, null, 2)}\n`,
  );
if (failures > 0) process.exitCode = 1;
