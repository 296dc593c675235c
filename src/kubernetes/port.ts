export function isPortNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65535;
}

/** RFC 6335 section 5.1, lower case as Kubernetes wants it. */
export function isPortName(text: string): boolean {
  return /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/.test(text);
}
