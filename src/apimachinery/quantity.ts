// Resource quantities: `500m`, `1.5Gi`, `1e3` (k8s.io/apimachinery/pkg/api/resource).

const binarySuffixes: Readonly<Record<string, number>> = {
  Ki: 10,
  Mi: 20,
  Gi: 30,
  Ti: 40,
  Pi: 50,
  Ei: 60,
};
const decimalSuffixes: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

const form =
  /^(?<sign>[+-]?)(?<whole>\d*)(?:\.(?<fraction>\d*))?(?<suffix>[a-zA-Z]*|[eE][+-]?\d+)$/;

/** Exponents of more digits are refused: nothing real needs them, and powers of ten grow fast. */
const maximumExponentLength = 2;

function decimalExponent(suffix: string): number | undefined {
  if (Object.hasOwn(decimalSuffixes, suffix)) return decimalSuffixes[suffix];
  const digits = /^[eE](?<digits>[+-]?\d+)$/.exec(suffix)?.groups?.["digits"];
  if (digits === undefined || digits.replace(/^[+-]/, "").length > maximumExponentLength)
    return undefined;
  return Number(digits);
}

function scaleToNano(digits: bigint, exponent: number): bigint {
  if (exponent >= -9) return digits * 10n ** BigInt(exponent + 9);
  const divisor = 10n ** BigInt(-9 - exponent);
  // Smaller than a nano is rounded up, as upstream does.
  return (digits + divisor - 1n) / divisor;
}

/** The quantity in units of 10^-9, so that quantities compare and add exactly; `undefined` when it does not parse. */
export function parseQuantity(text: string): bigint | undefined {
  const { sign, whole = "", fraction = "", suffix = "" } = form.exec(text)?.groups ?? {};
  if (whole === "" && fraction === "") return undefined;
  const digits = BigInt(whole + fraction);
  const signed = (nano: bigint): bigint => (sign === "-" ? -nano : nano);
  if (Object.hasOwn(binarySuffixes, suffix)) {
    const factor = 2n ** BigInt(binarySuffixes[suffix] ?? 0);
    return signed(scaleToNano(digits * factor, -fraction.length));
  }
  const exponent = decimalExponent(suffix);
  return exponent === undefined
    ? undefined
    : signed(scaleToNano(digits, exponent - fraction.length));
}
