import { describe, expect, it } from "vitest";
import { cpuModel, type ModelOptions } from "./cpu-model.ts";

const model = (name: string, options: ModelOptions = {}) => cpuModel(name, options)!;
const lost = (name: string, minus: string[], asked: string[]): string[] =>
  asked.filter((feature) => model(name).has(feature) && !model(name, { minus }).has(feature));

describe("VT-x of a CPU model", () => {
  it("goes as a whole with VMX", () => {
    const asked = ["hltExiting", "enableEPT", "trueControls", "eptAccessedDirty"];
    expect(lost("default", ["VMX"], asked)).toEqual(asked);
  });

  it("loses with a control what is no use without it", () => {
    const asked = ["unrestrictedGuest", "enablePML", "eptViolationVE", "enableVMFunctions", "eptpSwitching"];
    expect(lost("default", ["enableEPT"], [...asked, "enableVPID"])).toEqual(asked);
    expect(lost("default", ["useTPRShadow"], ["processPostedInterrupts", "virtualizeAPICAccesses"])).toEqual([
      "processPostedInterrupts",
    ]);
    expect(lost("default", ["activateSecondaryControls"], ["enableEPT", "enablePML", "hltExiting"])).toEqual([
      "enableEPT",
      "enablePML",
    ]);
    const cap = ["ept2MPages", "invept", "inveptAllContexts", "eptAccessedDirty"];
    expect(lost("default", ["enableEPT"], [...cap, "invvpid"])).toEqual(cap);
    expect(lost("default", ["enableVPID"], ["invept", "invvpid", "invvpidAddress"])).toEqual([
      "invvpid",
      "invvpidAddress",
    ]);
    expect(lost("default", ["RDTSCP"], ["enableRDTSCP", "rdtscExiting"])).toEqual(["enableRDTSCP"]);
  });

  it("gains with a control what it needs", () => {
    expect(model("core2").has("activateSecondaryControls")).toBe(false);
    const more = model("core2", { plus: ["unrestrictedGuest"] });
    for (const key of ["unrestrictedGuest", "enableEPT", "activateSecondaryControls", "exitsStoreLMA"])
      expect(`${key} ${more.has(key)}`).toBe(`${key} true`);
    // RDTSCP itself is not of VT-x: the control alone stays useless.
    expect(model("core2", { plus: ["enableRDTSCP"] }).has("enableRDTSCP")).toBe(false);
    expect(model("core2", { plus: ["enableRDTSCP", "RDTSCP"] }).has("enableRDTSCP")).toBe(true);
  });

  it("is that of its time", () => {
    expect(model("nehalem").has("enableEPT")).toBe(true);
    expect(model("nehalem").has("unrestrictedGuest")).toBe(false);
    expect(model("core2").has("useTPRShadow")).toBe(true);
    expect(model("core2").has("trueControls")).toBe(false);
    expect(model("pentium3").has("VMX")).toBe(false);
  });
});
