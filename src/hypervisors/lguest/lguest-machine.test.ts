import { expect, it } from "vitest";
import { Machine } from "../../api/index.ts";

const run = async (image: string, commandLine: string, options: object = {}) => {
  const machine = await Machine.create({ hypervisor: "lguest", memoryMiB: 8, ...options });
  let text = "";
  machine.serial.on("data", (bytes) => {
    text += new TextDecoder().decode(bytes);
  });
  const { message } = await machine.boot({ image, commandLine });
  if (message !== undefined) return message;
  const { reason, exitStatus, instructions } = await machine.run({ maxInstructions: 2_000_000 });
  return { text, reason, exitStatus, instructions };
};

it("runs the paravirtual kernel as an image of the machine: console, exit status, the same instructions each time", async () => {
  const first = await run("builtin:lguest", "echo hello;off");
  expect(first).toMatchObject({
    reason: "power-off",
    exitStatus: 0,
    text: expect.stringContaining("\r\nhello\r\n$ off\r\n"),
  });
  expect(await run("builtin:lguest", "echo hello;off")).toEqual(first);
});

it("refuses what is no paravirtual kernel, and more processors than one, in a sentence", async () => {
  expect(await run("builtin:monitor", "")).toBe(
    'the image does not contain "GenuineLguest", expected a paravirtual kernel for lguest',
  );
  expect(await run("builtin:lguest", "", { processors: 2 })).toBe(
    "a guest of lguest has one processor, found 2",
  );
});
