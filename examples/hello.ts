import { assemble, Machine } from "worldswitch";

// A boot sector: says hello on serial port 1, then ends the run through port 0xf4.
const sector = assemble(
  `
        mov si, text
        mov dx, 0x3f8
next:   lodsb
        test al, al
        jz done
        out dx, al
        jmp next
done:   mov al, 21
        out 0xf4, al
text:   db "Hello from 16-bit mode", 10, 0
`,
  { codeSize: 16, origin: 0x7c00 },
);
if (sector.kind === "errors") throw new Error(sector.errors[0]?.message);

const machine = await Machine.create({ memoryMiB: 16 });
machine.serial.on("data", (bytes) => process.stdout.write(bytes));
const { message } = await machine.boot({ image: sector.bytes, protocol: "flat" });
if (message !== undefined) throw new Error(message);

const { reason, exitStatus, instructions } = await machine.run({ timeout: 10 });
console.log(`${reason}: status ${exitStatus} after ${instructions} instructions`);
console.log(`RAX is ${machine.registers.get("RAX")}, byte 0x7c00 is ${machine.memory.read(0x7c00, 1)[0]}`);
