/**
 * The flow of control between blocks, as WebAssembly's structured instructions need it: which blocks begin a loop, where
 * paths meet, and which block is nested in which (N. Ramsey, "Beyond Relooper", 2022).
 */
export interface Flow {
  /** Position in reverse postorder; -1: not reached. */
  readonly order: readonly number[];
  /** Blocks that a block immediately dominates. */
  readonly children: readonly (readonly number[])[];
  /** Reached by several forward edges. */
  readonly isMerge: readonly boolean[];
  /** Reached by a backward edge from a block that it dominates. */
  readonly isLoop: readonly boolean[];
  /** Can this edge be a branch? An edge back to a block that does not dominate its source cannot. */
  follows(from: number, to: number): boolean;
}

/** `successors`: of each block, in the order they leave it; an edge may occur twice. Block 0 is the entry. */
export const flowOf = (successors: readonly (readonly number[])[]): Flow => {
  const refused = new Set<number>();
  const key = (from: number, to: number): number => from * successors.length + to;
  for (;;) {
    const edges = successors.map((list, from) => list.filter((to) => !refused.has(key(from, to))));
    const { order, sequence } = reversePostorder(edges);
    const dominator = immediateDominators(edges, order, sequence);
    const dominates = (above: number, below: number): boolean => {
      for (let at = below; ; at = dominator[at]!) {
        if (at === above) return true;
        if (at === 0) return false;
      }
    };
    let again = false;
    const forward = new Array<number>(edges.length).fill(0);
    const isLoop = new Array<boolean>(edges.length).fill(false);
    for (const from of sequence)
      for (const to of edges[from]!) {
        if (order[to]! > order[from]!) forward[to]!++;
        else if (dominates(to, from)) isLoop[to] = true;
        else {
          refused.add(key(from, to));
          again = true;
        }
      }
    if (again) continue;
    const children: number[][] = edges.map(() => []);
    for (const node of sequence) if (node !== 0) children[dominator[node]!]!.push(node);
    return {
      order,
      children,
      isMerge: forward.map((count) => count > 1),
      isLoop,
      follows: (from, to) => !refused.has(key(from, to)),
    };
  }
};

const reversePostorder = (
  edges: readonly (readonly number[])[],
): { readonly order: number[]; readonly sequence: number[] } => {
  const seen = new Set<number>();
  const postorder: number[] = [];
  const visit = (node: number): void => {
    seen.add(node);
    for (const next of edges[node]!) if (!seen.has(next)) visit(next);
    postorder.push(node);
  };
  visit(0);
  const sequence = postorder.reverse();
  const order = edges.map(() => -1);
  sequence.forEach((node, position) => {
    order[node] = position;
  });
  return { order, sequence };
};

const immediateDominators = (
  edges: readonly (readonly number[])[],
  order: readonly number[],
  sequence: readonly number[],
): number[] => {
  const predecessors: number[][] = edges.map(() => []);
  for (const from of sequence) for (const to of edges[from]!) predecessors[to]!.push(from);
  const dominator = edges.map(() => -1);
  dominator[0] = 0;
  const meet = (a: number, b: number): number => {
    while (a !== b)
      if (order[a]! > order[b]!) a = dominator[a]!;
      else b = dominator[b]!;
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of sequence) {
      if (node === 0) continue;
      let found = -1;
      for (const before of predecessors[node]!)
        if (dominator[before] !== -1) found = found === -1 ? before : meet(before, found);
      if (dominator[node] !== found) {
        dominator[node] = found;
        changed = true;
      }
    }
  }
  return dominator;
};
