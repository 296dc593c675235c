// What arrives in tenants.bench.ts, in the shape of ovn-heater's netpol_multitenant: a namespace with some pods, closed by default,
// open within itself, and open to a few external addresses.

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  /** Name of its port on the switch. */
  readonly port: string;
}

export interface Tenant {
  readonly name: string;
  readonly pods: readonly Pod[];
}

/** Where a packet starts or ends. */
export interface End {
  readonly port: string;
  readonly mac: string;
  readonly address: string;
}

/** Somebody who brings tenants into force on a switch. */
export interface Landlord extends AsyncDisposable {
  readonly name: string;
  /** Of the last admission, the time until its objects were stored, in milliseconds. */
  readonly storingMs: number;
  /** Settles once the switch has confirmed the tenant's pods and policies. */
  admit(tenant: Tenant): Promise<void>;
  /** Where the pod of an admitted tenant is. */
  endOf(pod: Pod): Promise<End>;
  /** Whether the switch lets a new TCP connection from the one to the other. */
  passes(from: End, to: End): Promise<boolean>;
  /** Flows on the bridge. */
  flowCount(): number;
}

const podsPerTenant = 5;

export function tenantsOf(count: number): Tenant[] {
  return Array.from({ length: count }, (_, tenant) => {
    const name = `tenant-${tenant}`;
    const pods = Array.from({ length: podsPerTenant }, (_each, pod) => ({
      namespace: name,
      name: `pod-${pod}`,
      port: `port${tenant * podsPerTenant + pod}`,
    }));
    return { name, pods };
  });
}

function addresses(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}.${index + 1}`);
}

/** External addresses that may come in, rule by rule. */
export const external: readonly (readonly string[])[] = [
  addresses("42.42.42", 3),
  addresses("43.43.43", 20),
];
