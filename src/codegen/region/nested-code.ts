import { Code, type ValueType } from "../../wasm/code.ts";

/** Code that knows how deep it is in structured instructions, and whose local variables are those of one guest instruction. */
export class NestedCode extends Code {
  depth = 0;
  readonly #pool = new Map<ValueType, number[]>();
  #used = new Map<ValueType, number>();

  /** A local variable for the instruction being emitted: others use it, too. */
  override local(type: ValueType): number {
    let pool = this.#pool.get(type);
    if (pool === undefined) {
      pool = [];
      this.#pool.set(type, pool);
    }
    const used = this.#used.get(type) ?? 0;
    this.#used.set(type, used + 1);
    if (used === pool.length) pool.push(super.local(type));
    return pool[used]!;
  }

  /** A local variable of its own. */
  lasting(type: ValueType): number {
    return super.local(type);
  }

  /**
   * Emit one instruction. Others may be emitted within it, where control does not come back from: they use the same variables, and it
   * keeps its own.
   */
  scope(emit: () => void): void {
    const outer = this.#used;
    this.#used = new Map();
    emit();
    this.#used = outer;
  }

  override block(result?: ValueType): this {
    this.depth++;
    return super.block(result);
  }
  override loop(result?: ValueType): this {
    this.depth++;
    return super.loop(result);
  }
  override if(result?: ValueType): this {
    this.depth++;
    return super.if(result);
  }
  override end(): this {
    this.depth--;
    return super.end();
  }
  /** Branch to a structured instruction by the depth inside it. */
  branch(label: number): this {
    return this.br(this.depth - label);
  }
}
