// Addresses from an external IPAM over HTTP; docs/addresses.md describes the requests to those who answer them.
import { Agent, request } from "undici";
import { isObject } from "../apimachinery/json.ts";

export interface IpamWebhookConfig {
  /** Where `/allocate`, `/release` and `/health` are. */
  readonly url: string;
  readonly timeoutMs: number;
  /** PEM certificates that sign the server's; the system's when absent. */
  readonly caBundle: string | undefined;
}

/** Who is to have addresses. Equal ids are one request, however often it is made. */
export interface IpamRequest {
  readonly requestId: string;
  readonly domain: string;
  readonly namespace: string;
  readonly pod: string;
}

export interface IpamAllocation extends IpamRequest {
  readonly node: string;
  readonly pools: readonly string[];
  /** What the pod's annotations ask for; the IPAM gives these or refuses. */
  readonly addresses: readonly string[];
  readonly network: string | undefined;
}

/** The IPAM does not give addresses; its message says why. */
export class IpamRefusedError extends Error {
  override readonly name = "IpamRefusedError";
}

/** The IPAM gives no answer, or none that can be understood: it is asked again later. */
export class IpamUnavailableError extends Error {
  override readonly name = "IpamUnavailableError";
}

const mostAnswerSize = 64 << 10;
const version = "ipam.isobar.io/v1";

export class IpamWebhook implements AsyncDisposable {
  readonly config: IpamWebhookConfig;
  readonly #agent: Agent;

  constructor(config: IpamWebhookConfig) {
    this.config = config;
    const { timeoutMs, caBundle } = config;
    this.#agent = new Agent({
      connect: { timeout: timeoutMs, ...(caBundle !== undefined && { ca: caBundle }) },
      connections: 16,
      maxResponseSize: mostAnswerSize,
    });
  }

  /**
   * The addresses as the IPAM wrote them.
   * @throws {IpamRefusedError} when it says no  @throws {IpamUnavailableError} when it says nothing that can be understood
   */
  async allocate(allocation: IpamAllocation): Promise<readonly string[]> {
    const answer = await this.#post("allocate", allocation);
    const addresses = isObject(answer) ? answer["addresses"] : undefined;
    const valid =
      Array.isArray(addresses) &&
      addresses.every((each): each is string => typeof each === "string");
    if (valid && addresses.length > 0) return addresses;
    const expected = 'expected {"addresses": ["10.0.0.7"]}';
    throw new IpamUnavailableError(
      `the IPAM at ${this.config.url} answered ${JSON.stringify(answer)?.slice(0, 200)}: ${expected}`,
    );
  }

  /** Succeeds also for what is not allocated. @throws {IpamRefusedError} @throws {IpamUnavailableError} */
  async release(released: IpamRequest): Promise<void> {
    await this.#post("release", released);
  }

  /** @throws {IpamRefusedError} @throws {IpamUnavailableError} when it is not well */
  async checkHealth(): Promise<void> {
    await this.#send("health", undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #post(path: string, body: object): Promise<unknown> {
    const text = await this.#send(path, JSON.stringify({ version, ...body }));
    try {
      return text === "" ? undefined : JSON.parse(text);
    } catch {
      const { url } = this.config;
      throw new IpamUnavailableError(
        `the IPAM at ${url} did not answer in JSON: ${text.slice(0, 200)}`,
      );
    }
  }

  async #send(path: string, body: string | undefined): Promise<string> {
    const { url, timeoutMs } = this.config;
    const target = `${url.replace(/\/$/, "")}/${path}`;
    let code: number;
    let text: string;
    try {
      const response = await request(target, {
        method: body === undefined ? "GET" : "POST",
        dispatcher: this.#agent,
        // One limit for all of it: an answer that trickles in is none.
        signal: AbortSignal.timeout(timeoutMs),
        ...(body !== undefined && { body, headers: { "content-type": "application/json" } }),
      });
      code = response.statusCode;
      text = await response.body.text();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new IpamUnavailableError(`the IPAM at ${url} does not answer: ${why}`, { cause });
    }
    if (code >= 200 && code < 300) return text;
    if (code >= 400 && code < 500 && code !== 429) throw new IpamRefusedError(reasonIn(text, code));
    throw new IpamUnavailableError(`the IPAM at ${url} answered ${code}: ${text.slice(0, 200)}`);
  }
}

function reasonIn(text: string, code: number): string {
  try {
    const answer: unknown = JSON.parse(text);
    const message = isObject(answer) ? answer["message"] : undefined;
    if (typeof message === "string" && message !== "") return message.slice(0, 500);
  } catch {
    // The text itself is the reason then.
  }
  return text.slice(0, 500) || `HTTP status ${code}`;
}
