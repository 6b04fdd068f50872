/** Exit status of bad usage and bad input. */
const BAD_INPUT = 2;

/** A line on standard error. */
export const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** One sentence about bad usage or input. */
export const complain = (sentence: string): number => {
  say(`worldswitch: ${sentence}`);
  return BAD_INPUT;
};
