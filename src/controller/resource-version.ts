/**
 * Whether one resourceVersion of an object came after another. Kubernetes promises since 1.35 what has always been so: they
 * are whole numbers that grow.
 */
export function isNewer(version: string, than: string): boolean {
  return BigInt(version) > BigInt(than);
}
