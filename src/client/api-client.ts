import { Agent, type Dispatcher, request } from "undici";
import { StatusError } from "../apimachinery/errors.ts";
import { isObject } from "../apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { noSuchPath, type Status } from "../apimachinery/status.ts";
import { UnavailableError } from "./errors.ts";
import type { ClientConfig } from "./kubeconfig.ts";
import { type ObjectPlace, pathOf } from "./object-path.ts";

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** `application/json` when absent. */
  readonly contentType?: string;
  /** `application/json` when absent. */
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** Longest silence within the answer; none for 0. */
  readonly silenceMs?: number;
}

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Most objects in the answer. */
  readonly limit?: number;
  readonly continue?: string;
  readonly signal?: AbortSignal;
}

export interface ObjectList<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: T[];
}

/** Some servers write an empty list as null. */
type SentList<T> = Omit<ObjectList<T>, "items"> & { readonly items: T[] | null };

export type PatchType =
  | "json-patch+json"
  | "merge-patch+json"
  | "strategic-merge-patch+json"
  | "apply-patch+yaml";

export interface DeleteOptions {
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

const silenceMs = 60_000;
const connectTimeoutMs = 10_000;
const requestConnections = 16;

/**
 * Talks to a Kubernetes API over connections that it keeps. Objects are what the server sends: it is trusted to keep to the
 * kind's schema. Every method throws {StatusError} when the server refuses, {UnavailableError} when there is no answer.
 */
export class ApiClient {
  readonly #userAgent: string;
  #config: ClientConfig;
  #agents: Agents;

  /** The user agent names the program; the API shows it as the owner of fields. */
  constructor(config: ClientConfig, userAgent = "isobar") {
    this.#config = config;
    this.#userAgent = userAgent;
    this.#agents = makeAgents(config);
  }

  /** As it was read last. */
  get config(): ClientConfig {
    return this.#config;
  }

  async get<T extends KubeObject>(kind: KindDefinition<T>, place: ObjectPlace): Promise<T> {
    return await this.json("GET", pathOf(kind, place));
  }

  /** As get, with undefined for an object that is not there. */
  async find<T extends KubeObject>(
    kind: KindDefinition<T>,
    place: ObjectPlace,
  ): Promise<T | undefined> {
    try {
      return await this.get(kind, place);
    } catch (error) {
      if (error instanceof StatusError && error.status.code === 404) return undefined;
      throw error;
    }
  }

  async list<T extends KubeObject>(
    kind: KindDefinition<T>,
    { namespace, signal, ...query }: ListOptions = {},
  ): Promise<ObjectList<T>> {
    const path = pathOf(kind, namespace === undefined ? {} : { namespace });
    const list = await this.json<SentList<T>>("GET", path, { query, ...(signal && { signal }) });
    return { ...list, items: list.items ?? [] };
  }

  /** The namespace is the object's own. */
  async create<T extends KubeObject>(kind: KindDefinition<T>, object: NewObject<T>): Promise<T> {
    const { namespace } = object.metadata;
    const place = namespace === undefined ? {} : { namespace };
    return await this.json("POST", pathOf(kind, place), { body: object });
  }

  /** With metadata.resourceVersion the update fails when the object has changed since; without, it overwrites. */
  async update<T extends KubeObject>(kind: KindDefinition<T>, object: NewObject<T>): Promise<T> {
    return await this.json("PUT", pathOf(kind, placeOf(object)), { body: object });
  }

  async updateStatus<T extends KubeObject>(
    kind: KindDefinition<T>,
    object: NewObject<T>,
  ): Promise<T> {
    const path = pathOf(kind, placeOf(object), "status");
    return await this.json("PUT", path, { body: object });
  }

  async patch<T extends KubeObject>(
    kind: KindDefinition<T>,
    place: ObjectPlace & { readonly subresource?: string },
    patch: { readonly type: PatchType; readonly body: unknown; readonly query?: Query },
  ): Promise<T> {
    const { type, body, query = {} } = patch;
    const path = pathOf(kind, place, place.subresource);
    return await this.json("PATCH", path, { body, query, contentType: `application/${type}` });
  }

  /** The object as it is while something holds it, or the Status that says it is gone. */
  async delete(
    kind: KindDefinition,
    place: ObjectPlace,
    options: DeleteOptions = {},
  ): Promise<KubeObject | Status> {
    const body = { apiVersion: "v1", kind: "DeleteOptions", ...options };
    return await this.json("DELETE", pathOf(kind, place), { body });
  }

  /** Any request whose answer is JSON; the caller says of which type. */
  async json<T>(
    method: Dispatcher.HttpMethod,
    path: string,
    options: RequestOptions = {},
  ): Promise<T> {
    const response = await this.open(method, path, options);
    return await reading(async () => JSON.parse(await response.body.text()));
  }

  /**
   * Sends a request and gives the answer's body to read, if it is a success. When the server does not accept the client any
   * more, or the client the server, secrets that have been replaced meanwhile are tried once.
   */
  async open(
    method: Dispatcher.HttpMethod,
    path: string,
    options: RequestOptions = {},
  ): Promise<Dispatcher.ResponseData> {
    const agents = this.#agents;
    const token = this.#config.token?.();
    try {
      return await this.#send(method, path, { ...options, token });
    } catch (error) {
      if (!isRefusedSecret(error)) throw error;
      this.#renew();
      const newToken = this.#config.token?.();
      if (this.#agents === agents && newToken === token) throw error;
      return await this.#send(method, path, { ...options, token: newToken });
    }
  }

  /** Drops the connections. Requests under way fail. */
  async close(): Promise<void> {
    await Promise.all([this.#agents.requests.destroy(), this.#agents.watches.destroy()]);
  }

  async #send(
    method: Dispatcher.HttpMethod,
    path: string,
    { token, ...options }: RequestOptions & { readonly token: string | undefined },
  ): Promise<Dispatcher.ResponseData> {
    const { query = {}, body, signal } = options;
    const url = new URL(this.#config.server.replace(/\/$/, "") + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers = {
      accept: options.accept ?? "application/json",
      "user-agent": this.#userAgent,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": options.contentType ?? "application/json" }),
    };
    const response = await reading(() =>
      request(url, {
        method,
        headers,
        dispatcher: query["watch"] === true ? this.#agents.watches : this.#agents.requests,
        headersTimeout: silenceMs,
        bodyTimeout: options.silenceMs ?? silenceMs,
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
      }),
    );
    if (response.statusCode < 300) return response;
    throw failureOf(response.statusCode, await reading(() => response.body.text()), url);
  }

  #renew(): void {
    const old = this.#config;
    try {
      this.#config = old.renew?.() ?? old;
    } catch {
      // In the middle of being replaced: there will be another attempt.
    }
    if (connectionFields.every((field) => old[field] === this.#config[field])) return;
    // Watches that are open go on over their old connections until they end.
    for (const agent of Object.values(this.#agents)) void agent.close();
    this.#agents = makeAgents(this.#config);
  }
}

/** Requests wait for one of a few connections, as each costs a handshake; watches have one each. */
interface Agents {
  readonly requests: Agent;
  readonly watches: Agent;
}

const connectionFields = [
  "server",
  "serverName",
  "authority",
  "insecureSkipTlsVerify",
  "certificate",
  "key",
] as const satisfies readonly (keyof ClientConfig)[];

function makeAgents(config: ClientConfig): Agents {
  const { authority, certificate, key, serverName, insecureSkipTlsVerify = false } = config;
  const connect = {
    rejectUnauthorized: !insecureSkipTlsVerify,
    timeout: connectTimeoutMs,
    ...(serverName !== undefined && { servername: serverName }),
    ...(authority !== undefined && { ca: authority }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
  };
  return {
    requests: new Agent({ connect, connections: requestConnections }),
    watches: new Agent({ connect }),
  };
}

const tlsFailures = /^(CERT_|ERR_SSL_|ERR_TLS_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_)/;

/** Whether the other side did not accept who we are, or we not who it is. */
function isRefusedSecret(error: unknown): boolean {
  if (error instanceof StatusError) return error.status.code === 401;
  if (!(error instanceof UnavailableError)) return false;
  const { cause } = error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return tlsFailures.test(code);
}

/** An object as it is sent: the server fills in what is missing. */
export type NewObject<T extends KubeObject> = Omit<T, "metadata"> & {
  readonly metadata: Partial<T["metadata"]>;
};

function placeOf({ metadata: { name, namespace } }: NewObject<KubeObject>): ObjectPlace {
  if (name === undefined) throw new TypeError("the object has no name");
  return { name, ...(namespace !== undefined && { namespace }) };
}

async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UnavailableError(`the API server does not answer: ${why}`, { cause });
  }
}

function failureOf(code: number, text: string, url: URL): Error {
  const status = statusIn(text);
  if (status !== undefined) return new StatusError(status);
  // What an API server says of a group that it does not have.
  if (code === 404) return new StatusError(noSuchPath());
  return new UnavailableError(`${url.origin} answered ${code}, and not as an API server does`);
}

function isStatus(value: unknown): value is Status {
  return isObject(value) && value["kind"] === "Status" && typeof value["code"] === "number";
}

function statusIn(text: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isStatus(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
