// Tells agents where the controllers are and whom to trust, in a ConfigMap that is mended when somebody changes it.
import type { ApiClient } from "../client/api-client.ts";
import { configMapKind } from "../kinds/config-map.ts";
import { pause } from "../runtime/lifecycle.ts";
import type { Log } from "../runtime/log.ts";
import {
  publishedAddressesKey,
  publishedAuthorityKey,
  publishedName,
} from "../southbound/enrolment.ts";

export interface PublicationOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  /** PEM. */
  readonly authority: string;
  /** `HOST:PORT` of each. */
  readonly addresses: readonly string[];
  readonly log: Log;
}

const checkIntervalMs = 30_000;
const retryMs = 2_000;

/** Keeps what is published as it should be until the signal is aborted. */
export async function runPublication(
  options: PublicationOptions,
  signal: AbortSignal,
): Promise<void> {
  const { log } = options;
  let failed = false;
  while (!signal.aborted) {
    try {
      if (await publish(options)) log.info({ addresses: options.addresses }, "published");
      failed = false;
    } catch (error) {
      // The same failure again and again is news only once.
      if (!failed) log.warn({ err: error }, "cannot publish the controllers' addresses");
      failed = true;
    }
    await pause(failed ? retryMs : checkIntervalMs, signal);
  }
}

/** Whether anything had to be changed. */
async function publish(options: PublicationOptions): Promise<boolean> {
  const { client, namespace, authority, addresses } = options;
  const place = { namespace, name: publishedName };
  const data = {
    [publishedAuthorityKey]: authority,
    [publishedAddressesKey]: addresses.map((address) => `${address}\n`).join(""),
  };
  const found = await client.find(configMapKind, place);
  if (found === undefined) {
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: place, data } as const;
    await client.create(configMapKind, object);
    return true;
  }
  const current = found.data ?? {};
  if (Object.entries(data).every(([key, value]) => current[key] === value)) return false;
  await client.update(configMapKind, { ...found, data: { ...current, ...data } });
  return true;
}
