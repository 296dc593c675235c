import type { KindDefinition } from "../apimachinery/kind.ts";
import type { Log } from "../runtime/log.ts";
import type { Store } from "../store/store.ts";
import { Authenticator, type TokenUser } from "./authentication.ts";
import { Catalog } from "./catalog.ts";
import type { ServerCertificates } from "./certificate-files.ts";
import { ExpiryLeases } from "./expiry-leases.ts";
import { makeHttpServer } from "./http-server.ts";
import { ObjectService } from "./object-service.ts";
import { OpenApiDocuments } from "./openapi-documents.ts";
import { ensureSystemNamespaces } from "./system-namespaces.ts";
import { WatchStreams } from "./watch-streams.ts";

export interface ApiServerOptions {
  readonly kinds: readonly KindDefinition[];
  /** Stays the caller's: it is not closed with the server. */
  readonly store: Store;
  readonly certificates: ServerCertificates;
  readonly tokens: readonly TokenUser[];
  /** `127.0.0.1` and any free port when absent. */
  readonly listen?: { readonly host?: string; readonly port?: number };
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
  /** Ends watches, finishes requests and stops listening. Idempotent. */
  close(): Promise<void>;
}

/** Serves the kinds over the store. */
export async function startApiServer(options: ApiServerOptions): Promise<RunningApiServer> {
  const { store, log, now = () => new Date() } = options;
  const catalog = new Catalog(options.kinds);
  const leases = new ExpiryLeases(store, now);
  const service = new ObjectService({ store, catalog, leases, now });
  const streams = new WatchStreams({
    bookmarkIntervalMs: options.bookmarkIntervalMs ?? 30_000,
    stallTimeoutMs: options.stallTimeoutMs ?? 60_000,
  });
  const openApi = new OpenApiDocuments(catalog);
  const authenticator = new Authenticator(options.tokens);
  const { certificates } = options;
  let address = "";
  const app = makeHttpServer({ authenticator, certificates, log, streams }, () => ({
    service,
    openApi,
    address,
  }));
  await ensureSystemNamespaces(service);
  const { host = "127.0.0.1", port = 0 } = options.listen ?? {};
  const url = await app.listen({ host, port });
  address = new URL(url).host;
  log.info({ url }, "serving");
  return {
    url,
    service,
    async close() {
      streams.close();
      await app.close();
    },
  };
}
