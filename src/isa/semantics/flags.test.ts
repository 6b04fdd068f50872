import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

const GP0 = { kind: "fault", vector: 13, errorCode: 0n };
const UD = { kind: "fault", vector: 6 };
const ring3 = { "SS.access": 0x60 };
const PVI = 2;
const VME = 1;

describe("flag control", () => {
  it("CLI and STI need CPL <= IOPL", () => {
    expect(run("fa", { flags: "IF" }).flags).toBe("");
    expect(run("fb", {}).flags).toBe("IF");
    expect(run("fa", { ...ring3, flags: "IF" }).result).toMatchObject(GP0);
    expect(run("fa", { ...ring3, flags: "IF IOPL0 IOPL1" }).flags).toBe("IOPL0 IOPL1");
  });

  it("with PVI at CPL 3, and with VME in virtual-8086 mode, VIF stands in for IF", () => {
    expect(run("fa", { ...ring3, CR4: PVI, flags: "IF VIF" }).flags).toBe("IF");
    expect(run("fb", { ...ring3, CR4: PVI, flags: "" }).flags).toBe("VIF");
    expect(run("fb", { ...ring3, CR4: PVI, flags: "VIP" }).result).toMatchObject(GP0);
    expect(run("fb", { "SS.access": 0x20, CR4: PVI }).result).toMatchObject(GP0); // CPL 1
    expect(run("fa", { ...ring3, codeSize: 16, CR4: PVI, flags: "VM VIF" }).result).toMatchObject(GP0);
    expect(run("fa", { ...ring3, codeSize: 16, CR4: VME, flags: "VM VIF" }).flags).toBe("VM");
  });

  it("CLAC and STAC are #UD outside CPL 0", () => {
    expect(run("0f 01 cb").flags).toBe("AC");
    expect(run("0f 01 ca", { flags: "AC" }).flags).toBe("");
    expect(run("0f 01 cb", ring3).result).toMatchObject(UD);
  });

  it("LAHF and SAHF move the low byte without bits 1, 3 and 5", () => {
    expect(run("9f", { RAX: 0xff42, flags: "SF ZF AF PF CF OF" }).get("RAX")).toBe(0xd742n);
    expect(run("9e", { RAX: 0xff00, flags: "OF" }).flags).toBe("CF PF AF ZF SF OF");
  });

  it("CLC, STC, CMC, CLD and STD touch their flag only", () => {
    expect(run("f8", { flags: "CF ZF" }).flags).toBe("ZF");
    expect(run("f9", { flags: "ZF" }).flags).toBe("CF ZF");
    expect(run("f5", { flags: "CF DF" }).flags).toBe("DF");
    expect(run("fc", { flags: "CF DF" }).flags).toBe("CF");
    expect(run("fd", { flags: "CF" }).flags).toBe("CF DF");
  });
});
