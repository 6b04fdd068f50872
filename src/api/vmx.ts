import type { Observer } from "../cpu/execution-engine.ts";
import { type ExitRecord, type ExitSummary, ExitWatch } from "../debug/exits/exit-watch.ts";
import { FailureWatch, type VmxFailure } from "../debug/explain/failure-watch.ts";

interface Listeners {
  /** A VM exit, as it happens. */
  exit: (exit: ExitRecord) => void;
  /** A VMX instruction that failed: a VM entry, or any VMfail. */
  failure: (failure: VmxFailure) => void;
}

/** What the machine's VT-x does. Watching it changes nothing for the guest, and costs nothing while nobody does. */
export class Vmx {
  readonly #exits = new ExitWatch();
  readonly #failures = new FailureWatch();
  readonly #listeners: { readonly [Name in keyof Listeners]: Set<Listeners[Name]> } = {
    exit: new Set(),
    failure: new Set(),
  };
  readonly #observer: Observer = {
    vmFail: (fail, processor) => this.#failures.vmFail(fail, processor),
    vmEntryFailure: (failure, processor) => this.#failures.vmEntryFailure(failure, processor),
  };

  /** The last VMLAUNCH or VMRESUME that failed since the image was booted: why, with every check of VM entry that did not hold. */
  get lastEntryFailure(): VmxFailure | undefined {
    return this.#failures.lastEntry;
  }

  /** The last VMX instruction of any kind that failed. */
  get lastFailure(): VmxFailure | undefined {
    return this.#failures.last;
  }

  /** Count VM exits from now on. */
  watchExits(): void {
    this.#observer.vmExit ??= (exit, processor) => this.#exits.vmExit(exit, processor);
    this.#observer.vmEntry ??= (processor) => this.#exits.vmEntry(processor);
  }

  /** VM exits by reason, the most frequent first: those since the image was booted that were watched. */
  get exits(): readonly ExitSummary[] {
    return this.#exits.summary();
  }

  /** `on("exit", ...)` also begins to count them. */
  on<Name extends keyof Listeners>(event: Name, listener: Listeners[Name]): this {
    this.#listeners[event].add(listener);
    if (event === "exit") this.watchExits();
    this.#connect();
    return this;
  }

  off<Name extends keyof Listeners>(event: Name, listener: Listeners[Name]): this {
    this.#listeners[event].delete(listener);
    this.#connect();
    return this;
  }

  /** A record is made only for somebody who listens. */
  #connect(): void {
    const { exit, failure } = this.#listeners;
    this.#exits.listener =
      exit.size === 0
        ? undefined
        : (record) => {
            for (const listener of exit) listener(record);
          };
    this.#failures.listener =
      failure.size === 0
        ? undefined
        : (record) => {
            for (const listener of failure) listener(record);
          };
  }

  /** @internal The machine's chips are new, `isBoot`: with an image of their own. Who looks on. */
  observerOf(isBoot: boolean): Observer {
    this.#exits.begin(isBoot);
    if (isBoot) this.#failures.forget();
    return this.#observer;
  }
}
