/** How much was done since the start, so that tests can tell whether a change was cheap. */
export class Work {
  /** Endpoints whose identity was derived. */
  placed = 0;
  /** Selectors tried on an identity. */
  tried = 0;
  /** Identities that joined or left a group. */
  moved = 0;
  /** Policies turned into rules. */
  expanded = 0;
  /** Postures derived. */
  judged = 0;
  /** Rule sets looked at for a node. */
  settled = 0;
}
