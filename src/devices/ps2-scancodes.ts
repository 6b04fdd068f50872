// Scan codes of the 101/102-key keyboard. IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard (101- and
// 102-Key)": "Scan Code Set 2" and "Scan Code Set 3"; key names: W3C, "UI Events KeyboardEvent code Values".
// Set 1 has no table: it is set 2 as the 8042 translates it.

/** Prefix of the keys that set 2 got with the 101-key keyboard. */
const E0 = 0xe0;
/** Prefix of a break code in sets 2 and 3. */
const BREAK = 0xf0;

/**
 * How a key behaves in set 3 unless told otherwise: "typematic", "make/break", or "make" only. Sets 1 and 2 make all keys
 * typematic and break.
 */
export type Set3Behaviour = "T" | "MB" | "M";

interface Key {
  /** Set 2: the make code, `E0 << 8 | code` for an extended key. */
  readonly set2: number;
  readonly set3: number;
  readonly behaviour: Set3Behaviour;
}
const key = (set2: number, set3: number, behaviour: Set3Behaviour): Key => ({ set2, set3, behaviour });

// biome-ignore format: one row per fact
const KEYS = {
  Escape:         key(0x76, 0x08, "M"),
  F1:             key(0x05, 0x07, "M"),
  F2:             key(0x06, 0x0f, "M"),
  F3:             key(0x04, 0x17, "M"),
  F4:             key(0x0c, 0x1f, "M"),
  F5:             key(0x03, 0x27, "M"),
  F6:             key(0x0b, 0x2f, "M"),
  F7:             key(0x83, 0x37, "M"),
  F8:             key(0x0a, 0x3f, "M"),
  F9:             key(0x01, 0x47, "M"),
  F10:            key(0x09, 0x4f, "M"),
  F11:            key(0x78, 0x56, "M"),
  F12:            key(0x07, 0x5e, "M"),
  ScrollLock:     key(0x7e, 0x5f, "M"),
  Backquote:      key(0x0e, 0x0e, "T"),
  Digit1:         key(0x16, 0x16, "T"),
  Digit2:         key(0x1e, 0x1e, "T"),
  Digit3:         key(0x26, 0x26, "T"),
  Digit4:         key(0x25, 0x25, "T"),
  Digit5:         key(0x2e, 0x2e, "T"),
  Digit6:         key(0x36, 0x36, "T"),
  Digit7:         key(0x3d, 0x3d, "T"),
  Digit8:         key(0x3e, 0x3e, "T"),
  Digit9:         key(0x46, 0x46, "T"),
  Digit0:         key(0x45, 0x45, "T"),
  Minus:          key(0x4e, 0x4e, "T"),
  Equal:          key(0x55, 0x55, "T"),
  IntlYen:        key(0x6a, 0x5d, "T"),
  Backspace:      key(0x66, 0x66, "T"),
  Tab:            key(0x0d, 0x0d, "T"),
  KeyQ:           key(0x15, 0x15, "T"),
  KeyW:           key(0x1d, 0x1d, "T"),
  KeyE:           key(0x24, 0x24, "T"),
  KeyR:           key(0x2d, 0x2d, "T"),
  KeyT:           key(0x2c, 0x2c, "T"),
  KeyY:           key(0x35, 0x35, "T"),
  KeyU:           key(0x3c, 0x3c, "T"),
  KeyI:           key(0x43, 0x43, "T"),
  KeyO:           key(0x44, 0x44, "T"),
  KeyP:           key(0x4d, 0x4d, "T"),
  BracketLeft:    key(0x54, 0x54, "T"),
  BracketRight:   key(0x5b, 0x5b, "T"),
  Backslash:      key(0x5d, 0x5c, "T"),
  CapsLock:       key(0x58, 0x14, "MB"),
  KeyA:           key(0x1c, 0x1c, "T"),
  KeyS:           key(0x1b, 0x1b, "T"),
  KeyD:           key(0x23, 0x23, "T"),
  KeyF:           key(0x2b, 0x2b, "T"),
  KeyG:           key(0x34, 0x34, "T"),
  KeyH:           key(0x33, 0x33, "T"),
  KeyJ:           key(0x3b, 0x3b, "T"),
  KeyK:           key(0x42, 0x42, "T"),
  KeyL:           key(0x4b, 0x4b, "T"),
  Semicolon:      key(0x4c, 0x4c, "T"),
  Quote:          key(0x52, 0x52, "T"),
  Enter:          key(0x5a, 0x5a, "T"),
  ShiftLeft:      key(0x12, 0x12, "MB"),
  IntlBackslash:  key(0x61, 0x13, "T"),
  KeyZ:           key(0x1a, 0x1a, "T"),
  KeyX:           key(0x22, 0x22, "T"),
  KeyC:           key(0x21, 0x21, "T"),
  KeyV:           key(0x2a, 0x2a, "T"),
  KeyB:           key(0x32, 0x32, "T"),
  KeyN:           key(0x31, 0x31, "T"),
  KeyM:           key(0x3a, 0x3a, "T"),
  Comma:          key(0x41, 0x41, "T"),
  Period:         key(0x49, 0x49, "T"),
  Slash:          key(0x4a, 0x4a, "T"),
  IntlRo:         key(0x51, 0x51, "T"),
  ShiftRight:     key(0x59, 0x59, "MB"),
  ControlLeft:    key(0x14, 0x11, "MB"),
  AltLeft:        key(0x11, 0x19, "MB"),
  Space:          key(0x29, 0x29, "T"),
  AltRight:       key(0xe011, 0x39, "M"),
  ControlRight:   key(0xe014, 0x58, "M"),
  MetaLeft:       key(0xe01f, 0x8b, "M"),
  MetaRight:      key(0xe027, 0x8c, "M"),
  ContextMenu:    key(0xe02f, 0x8d, "M"),
  Insert:         key(0xe070, 0x67, "M"),
  Delete:         key(0xe071, 0x64, "T"),
  Home:           key(0xe06c, 0x6e, "M"),
  End:            key(0xe069, 0x65, "M"),
  PageUp:         key(0xe07d, 0x6f, "M"),
  PageDown:       key(0xe07a, 0x6d, "M"),
  ArrowLeft:      key(0xe06b, 0x61, "T"),
  ArrowUp:        key(0xe075, 0x63, "T"),
  ArrowDown:      key(0xe072, 0x60, "T"),
  ArrowRight:     key(0xe074, 0x6a, "T"),
  NumLock:        key(0x77, 0x76, "M"),
  Numpad0:        key(0x70, 0x70, "M"),
  Numpad1:        key(0x69, 0x69, "M"),
  Numpad2:        key(0x72, 0x72, "M"),
  Numpad3:        key(0x7a, 0x7a, "M"),
  Numpad4:        key(0x6b, 0x6b, "M"),
  Numpad5:        key(0x73, 0x73, "M"),
  Numpad6:        key(0x74, 0x74, "M"),
  Numpad7:        key(0x6c, 0x6c, "M"),
  Numpad8:        key(0x75, 0x75, "M"),
  Numpad9:        key(0x7d, 0x7d, "M"),
  NumpadDecimal:  key(0x71, 0x71, "M"),
  NumpadDivide:   key(0xe04a, 0x77, "M"),
  NumpadMultiply: key(0x7c, 0x7e, "M"),
  NumpadSubtract: key(0x7b, 0x84, "M"),
  NumpadAdd:      key(0x79, 0x7c, "T"),
  NumpadEnter:    key(0xe05a, 0x79, "M"),
} as const satisfies Record<string, Key>;

/** Keys whose set 2 codes are sequences of their own: make, break. */
const SEQUENCES = {
  PrintScreen: { make: [E0, 0x12, E0, 0x7c], break: [E0, BREAK, 0x7c, E0, BREAK, 0x12], set3: 0x57 },
  Pause: { make: [0xe1, 0x14, 0x77, 0xe1, BREAK, 0x14, BREAK, 0x77], break: [], set3: 0x62 },
} as const satisfies Record<string, { make: readonly number[]; break: readonly number[]; set3: number }>;

/** A key by its place on a US keyboard, as `KeyboardEvent.code` names it. */
export type KeyName = keyof typeof KEYS | keyof typeof SEQUENCES;
export const keyNames = [...Object.keys(KEYS), ...Object.keys(SEQUENCES)] as readonly KeyName[];
export const isKeyName = (name: string): name is KeyName =>
  Object.hasOwn(KEYS, name) || Object.hasOwn(SEQUENCES, name);

/** What set 2 sends for a key. */
export const set2Codes = (name: KeyName, pressed: boolean): readonly number[] => {
  if (name === "PrintScreen" || name === "Pause") return SEQUENCES[name][pressed ? "make" : "break"];
  const { set2 } = KEYS[name];
  const code = set2 & 0xff;
  return [...(set2 > 0xff ? [E0] : []), ...(pressed ? [] : [BREAK]), code];
};

/** Set 3's one code for a key, and the key's behaviour unless told otherwise. */
export const set3Code = (name: KeyName): { code: number; behaviour: Set3Behaviour } => {
  if (name === "PrintScreen" || name === "Pause") return { code: SEQUENCES[name].set3, behaviour: "M" };
  return { code: KEYS[name].set3, behaviour: KEYS[name].behaviour };
};
export const set3BreakCodes = (code: number): readonly number[] => [BREAK, code];

/** The 8042's translation of set 2 to set 1 for bytes below 0x80; of the others, all but two are their own translation. */
// biome-ignore format: sixteen to the row, as the table is always printed
const TRANSLATION = [
  0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
  0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
  0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
  0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
  0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
  0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
  0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
  0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
] as const;
const TRANSLATION_ABOVE: Readonly<Record<number, number>> = { 131: 0x41, 132: 0x54 };

/**
 * One byte through the 8042's translation. A set 2 break prefix gives no byte, but sets the top bit of the next.
 * `afterBreak` is whether the byte before was that prefix.
 */
export const translate = (byte: number, afterBreak: boolean): { byte?: number; afterBreak: boolean } => {
  if (byte === BREAK) return { afterBreak: true };
  const translated = TRANSLATION[byte] ?? TRANSLATION_ABOVE[byte] ?? byte;
  return { byte: afterBreak ? translated | 0x80 : translated, afterBreak: false };
};

/** Set 1: set 2 through the translation. */
export const set1Codes = (name: KeyName, pressed: boolean): readonly number[] => {
  const codes: number[] = [];
  let afterBreak = false;
  for (const code of set2Codes(name, pressed)) {
    const step = translate(code, afterBreak);
    afterBreak = step.afterBreak;
    if (step.byte !== undefined) codes.push(step.byte);
  }
  return codes;
};
