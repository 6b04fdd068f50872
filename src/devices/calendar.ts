/** A day of the proleptic Gregorian calendar. */
export interface Day {
  year: number;
  /** 1-12. */
  month: number;
  /** 1-31. */
  day: number;
}

const DAYS_PER_ERA = 146_097; // 400 years
const EPOCH_DAYS = 719_468; // from 1 March of year 0 to 1 January 1970

/** Days from 1 January 1970. A month or a day out of range counts on into the neighbouring ones. */
export const daysFromEpoch = ({ year, month, day }: Day): number => {
  const months = year * 12 + (month - 1);
  // Years that begin in March, so that a leap day is the last of its year.
  const shifted = months - 2;
  const y = Math.floor(shifted / 12);
  const m = shifted - y * 12;
  const dayOfYear = Math.floor((153 * m + 2) / 5) + day - 1;
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - EPOCH_DAYS;
};

/** The day that is `days` after 1 January 1970. */
export const dayFromEpoch = (days: number): Day => {
  const shifted = days + EPOCH_DAYS;
  const era = Math.floor(shifted / DAYS_PER_ERA);
  const dayOfEra = shifted - era * DAYS_PER_ERA;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const m = Math.floor((5 * dayOfYear + 2) / 153);
  const month = m < 10 ? m + 3 : m - 9;
  return {
    year: era * 400 + yearOfEra + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * m + 2) / 5) + 1,
  };
};
