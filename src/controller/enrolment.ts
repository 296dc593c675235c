// Lets agents in that have no certificate: the controllers' own authority, what they publish, and who may say hello.
import type { CertificatePair } from "../runtime/certificates.ts";
import { pause } from "../runtime/lifecycle.ts";
import type { Log } from "../runtime/log.ts";
import type { TlsCredentials } from "../runtime/stream-address.ts";
import { AgentIdentity } from "./agent-identity.ts";
import { makeControllerCredentials, openAuthority } from "./authority.ts";
import { AuthorityError, IdentityError } from "./errors.ts";
import { runPublication } from "./publication.ts";
import { qualifiedName } from "../model/source-name.ts";
import type { SourceAccess } from "./source.ts";

export interface EnrolmentOptions {
  /** Each has agents of its own; the first keeps the authority. */
  readonly sources: readonly Pick<SourceAccess, "name" | "client">[];
  /** Of the authority's Secret, of what is published and of the agents' service account, in every source. */
  readonly namespace: string;
  /** Name of the agents' service account. */
  readonly account: string;
  /** `HOST:PORT` under which agents reach this controller. */
  readonly advertise: readonly string[];
  readonly log: Log;
}

const renewalIntervalMs = 24 * 60 * 60 * 1000;

export class Enrolment {
  readonly #options: EnrolmentOptions;
  readonly #authority: CertificatePair;
  readonly #identities: ReadonlyMap<string, AgentIdentity>;
  /** As of the start; `run` brings later ones. */
  readonly credentials: TlsCredentials;

  private constructor(
    options: EnrolmentOptions,
    authority: CertificatePair,
    credentials: TlsCredentials,
  ) {
    const { sources, namespace, account: name } = options;
    this.#options = options;
    this.#authority = authority;
    this.credentials = credentials;
    const account = { namespace, name };
    this.#identities = new Map(
      sources.map((source) => [source.name, new AgentIdentity({ client: source.client, account })]),
    );
  }

  /** @throws {AuthorityError} @throws {StatusError} @throws {UnavailableError} */
  static async open(options: EnrolmentOptions): Promise<Enrolment> {
    const [first] = options.sources;
    if (first === undefined) throw new AuthorityError("no API server to keep the authority in");
    const authority = await openAuthority(first.client, options.namespace);
    return new Enrolment(options, authority, await makeControllerCredentials(authority));
  }

  /** The node of the source whose agent the token belongs to. @throws {IdentityError} */
  async nodeOf(token: string, source: string): Promise<string> {
    const identity = this.#identities.get(source);
    if (identity === undefined) throw new IdentityError(`there is no source "${source}"`);
    return qualifiedName(source, await identity.nodeOf(token));
  }

  /** Publishes, and renews the controller's certificate every day, until the signal is aborted. */
  async run(onRenewed: (credentials: TlsCredentials) => void, signal: AbortSignal): Promise<void> {
    const { sources, namespace, advertise: addresses, log } = this.#options;
    const authority = this.#authority.certificate;
    await Promise.all([
      ...sources.map(({ client }) =>
        runPublication({ client, namespace, authority, addresses, log }, signal),
      ),
      this.#renew(onRenewed, signal),
    ]);
  }

  async #renew(onRenewed: (made: TlsCredentials) => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(renewalIntervalMs, signal);
      if (signal.aborted) return;
      onRenewed(await makeControllerCredentials(this.#authority));
    }
  }
}
