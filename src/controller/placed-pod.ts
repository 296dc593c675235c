import type { OwnerReference } from "../apimachinery/kind.ts";
import type { AddressRequest } from "../ipam/request.ts";

/** What of a pod decides about its addresses. */
export interface PlacedPod {
  readonly uid: string;
  /** The domain that its namespace belongs to. */
  readonly domain: string;
  readonly node: string;
  readonly request: AddressRequest;
  /** What in the pod's or its namespace's annotations could not be understood. */
  readonly problems: readonly string[];
  /** The object that made the pod, such as a StatefulSet. */
  readonly owner: OwnerReference | undefined;
  /** What the pod's status says it has: an endpoint that was lost is made again with the same. */
  readonly addresses: readonly string[];
  /** Its namespace is being deleted: nothing can be made for it any more. */
  readonly isEnding: boolean;
}
