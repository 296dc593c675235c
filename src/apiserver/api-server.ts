import type { KindDefinition } from "../apimachinery/kind.ts";
import type { Log } from "../runtime/log.ts";
import type { Metrics } from "../runtime/metrics.ts";
import type { Store } from "../store/store.ts";
import { Authenticator, type TokenUser } from "./authentication.ts";
import { Catalog } from "./catalog.ts";
import type { ServerCertificates } from "./certificate-files.ts";
import { ExpiryLeases } from "./expiry-leases.ts";
import { runGarbageCollector } from "./garbage-collector.ts";
import { runCompactor } from "./history-compactor.ts";
import { makeHttpServer } from "./http-server.ts";
import { runNamespaceController } from "./namespace-controller.ts";
import { ObjectService } from "./object-service.ts";
import { OpenApiDocuments } from "./openapi-documents.ts";
import { ServiceAllocator } from "./service-allocator.ts";
import {
  type ServiceNetwork,
  ServicePools,
  defaultServiceNetwork,
  firstServiceAddress,
} from "./service-pools.ts";
import { ensureApiService, repairReservations } from "./service-setup.ts";
import { ensureSystemNamespaces } from "./system-namespaces.ts";
import { ServerMetrics } from "./server-metrics.ts";
import { WatchStreams } from "./watch-streams.ts";

export interface ApiServerOptions {
  readonly kinds: readonly KindDefinition[];
  /** Stays the caller's: it is not closed with the server. */
  readonly store: Store;
  readonly certificates: ServerCertificates;
  readonly tokens: readonly TokenUser[];
  /** `127.0.0.1` and any free port when absent. */
  readonly listen?: { readonly host?: string; readonly port?: number };
  /** Where Services' addresses and node ports come from; as usual when absent. */
  readonly services?: ServiceNetwork;
  /** The address by which pods reach the server, at the port it listens on; they cannot when absent. */
  readonly advertise?: string;
  readonly log: Log;
  readonly now?: () => Date;
  readonly bookmarkIntervalMs?: number;
  readonly stallTimeoutMs?: number;
}

export interface RunningApiServer {
  /** `https://host:port` */
  readonly url: string;
  /** The same objects, without HTTP. */
  readonly service: ObjectService;
  readonly metrics: Metrics;
  /** Ends watches, finishes requests and stops listening. Idempotent. */
  close(): Promise<void>;
}

/** Time that requests under way have to end when the server closes. */
const closeGraceMs = 2000;

/** Serves the kinds over the store. */
export async function startApiServer(options: ApiServerOptions): Promise<RunningApiServer> {
  const { store, log, now = () => new Date() } = options;
  const catalog = new Catalog(options.kinds);
  const leases = new ExpiryLeases(store, now);
  const network = options.services ?? defaultServiceNetwork;
  const pools = new ServicePools(store, network);
  const allocators = [new ServiceAllocator(pools)];
  const service = new ObjectService({ store, catalog, leases, allocators, now });
  const streams = new WatchStreams({
    bookmarkIntervalMs: options.bookmarkIntervalMs ?? 30_000,
    stallTimeoutMs: options.stallTimeoutMs ?? 60_000,
  });
  const openApi = new OpenApiDocuments(catalog);
  const authenticator = new Authenticator(options.tokens);
  const { certificates } = options;
  let address = "";
  const metrics = new ServerMetrics(() => ({ watches: streams.size }));
  const app = makeHttpServer({ authenticator, certificates, log, streams, metrics }, () => ({
    service,
    openApi,
    authenticator,
    address,
  }));
  await repairReservations(store, log);
  await ensureSystemNamespaces(service);
  const { host = "127.0.0.1", port = 0 } = options.listen ?? {};
  const url = await app.listen({ host, port });
  const { host: served, port: servedPort } = new URL(url);
  address = served;
  const { advertise } = options;
  await ensureApiService(service, {
    clusterIP: firstServiceAddress(network),
    advertised:
      advertise === undefined ? undefined : { address: advertise, port: Number(servedPort) },
    log,
  });
  const stopping = new AbortController();
  const controllers = startControllers(service, log, stopping.signal);
  log.info({ url }, "serving");
  return {
    url,
    service,
    metrics: metrics.metrics,
    async close() {
      stopping.abort();
      streams.close();
      const cut = setTimeout(() => app.server.closeAllConnections(), closeGraceMs);
      await app.close();
      clearTimeout(cut);
      await controllers;
    },
  };
}

/** What keeps the API's promises in the background. Resolves when all of it has stopped. */
async function startControllers(
  service: ObjectService,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const namespaceKind = service.catalog.findKind("v1", "Namespace");
  const controllers = [
    runGarbageCollector(service, log, signal),
    runCompactor(service.store, log, signal),
    ...(namespaceKind ? [runNamespaceController(service, namespaceKind, log, signal)] : []),
  ];
  for (const outcome of await Promise.allSettled(controllers)) {
    if (outcome.status === "rejected" && !signal.aborted) {
      log.error({ err: outcome.reason }, "a controller of the API server has stopped");
    }
  }
}
