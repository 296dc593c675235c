// What the server gives objects out of its own pools: written into the object before it is checked, and reserved by keys
// that are written in the same transaction as the object, so that neither a crash nor a race gives anything out twice.
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import type { Compare, Operation } from "../store/store.ts";

/** What is to be written along with an object, and must hold for it. */
export interface Reservation {
  readonly compare: readonly Compare[];
  readonly operations: readonly Operation[];
}

export const noReservation: Reservation = { compare: [], operations: [] };

export interface Allocator {
  concerns(kind: KindDefinition): boolean;
  /** Fields that hang together, before anything is given out. Changes `next`. @throws {StatusError} 422 */
  settle(next: KubeObject, old: KubeObject | undefined): void;
  /** Writes what `next` is given into it; to be done again when the reservation does not hold. @throws {StatusError} */
  allocate(next: KubeObject, old: KubeObject | undefined): Promise<Reservation>;
  /** What goes with the object when it is deleted. */
  release(old: KubeObject): Promise<Reservation>;
}
