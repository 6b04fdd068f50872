/** Tests that do not say on which tier run on the one of WORLDSWITCH_TIER: `npm run test:tiers`. Nothing is loaded where it is not set. */
if (process.env["WORLDSWITCH_TIER"] !== undefined) {
  const { tierFromEnvironment } = await import("../src/api/node/index.ts");
  const mistake = tierFromEnvironment();
  if (mistake !== undefined) throw new Error(mistake);
}

export {};
