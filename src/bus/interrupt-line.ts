/** A wire from a device to an interrupt controller. It is a level; edge or level triggering is the controller's question. */
export interface InterruptLine {
  set(asserted: boolean): void;
}

/** A message-signalled interrupt: what a PCI function writes to 0xFEEx_xxxx (SDM Vol. 3, "Message Signalled Interrupts"). */
export interface MessageInterrupt {
  send(address: number, value: number): void;
}
