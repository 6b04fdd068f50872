import { describe, expect, it } from "vitest";
import { configurationOf } from "./configuration.ts";

const has = (model: string, ...features: string[]): boolean[] => {
  const { model: found } = configurationOf({ model }).board;
  return features.map((feature) => found.has(feature));
};

describe("changes of a CPU model", () => {
  it("name CPUID features in any case", () => {
    expect(has("default,-pcid,-SMAP", "PCID", "SMAP", "SMEP")).toEqual([false, false, true]);
    expect(has("core2,+aes", "AES")).toEqual([true]);
    expect(has("default,-pse-36,-SSE4_2", "PSE-36", "SSE4_2")).toEqual([false, false]);
  });

  it("name controls of VT-x by the SDM's words, with or without their verb", () => {
    for (const name of ["enableEPT", "EPT", "enable-ept"])
      expect(has(`default,-${name}`, "enableEPT", "unrestrictedGuest", "enableVPID")).toEqual([
        false,
        false,
        true,
      ]);
    expect(has("default,-unrestricted-guest,-vpid", "unrestrictedGuest", "enableVPID", "enableEPT")).toEqual([
      false,
      false,
      true,
    ]);
    expect(has("nehalem,+unrestrictedGuest", "unrestrictedGuest", "exitsStoreLMA")).toEqual([true, true]);
    expect(has("default,-VMX", "VMX", "enableEPT", "hltExiting")).toEqual([false, false, false]);
  });

  it("mean the CPUID feature where a control has the same name", () => {
    expect(has("default,-RDTSCP", "RDTSCP", "enableRDTSCP")).toEqual([false, false]);
    expect(has("default,-enableRDTSCP", "RDTSCP", "enableRDTSCP")).toEqual([true, false]);
  });
});
