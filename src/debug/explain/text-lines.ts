/** What logs put before a line: nothing of it belongs to the dump. */
const prefixes: readonly RegExp[] = [
  /^\s*(?:>\s?)+(?=\s*[\w*([<])/, // mail that quotes
  /^\s*<\d+>/, // printk level
  /^\s*\[[ \d]*\d\.\d+\]/, // dmesg's seconds
  /^\s*\[\s*[TC]\d+\]/, // printk's caller
  /^\s*\[\w{3} \w{3} +\d+ [\d:]{8} \d{4}\]/, // dmesg -T
  /^\s*\[\d{4}-\d\d-\d\d[^\]]*\]/, // Xen's and others' dates
  /^\s*\w{3} +\d+ \d\d:\d\d:\d\d \S+(?=\s)/, // syslog: month, day, time, host
  /^\s*\d{4}-\d\d-\d\dT[\d:.+Z-]+ \S+(?=\s)/, // the same, ISO 8601
  /^\s*kernel:/,
  /^\s*kvm(?:_intel)?(?: ?\[\d+\])?:/,
  /^\s*\(XEN\)/,
];

/** A line without what a log puts before it. */
export const withoutPrefix = (line: string): string => {
  let rest = line;
  for (let changed = true; changed; ) {
    changed = false;
    for (const prefix of prefixes) {
      const shorter = rest.replace(prefix, "");
      if (shorter.length < rest.length) {
        rest = shorter;
        changed = true;
      }
    }
  }
  return rest.trimEnd();
};

export const linesOf = (text: string): string[] => text.split(/\r\n|\n|\r/);
