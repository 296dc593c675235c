// What a controller counts. docs/metrics.md is rendered from this list.
import type { Counter, Histogram } from "prom-client";
import { Metrics, type Sample } from "../runtime/metrics.ts";
import type { AddressFill } from "./address-controller.ts";

/** What is read from the controller's parts when somebody asks. */
interface ControllerReadings {
  /** Objects by kind; of further sources with their names, as in `east:Pod`. */
  readonly seen: Readonly<Record<string, { readonly objects: number }>>;
  readonly revision: number;
  readonly agents: readonly {
    readonly revision: number;
    readonly confirmed: number;
    readonly errors: readonly string[];
  }[];
  readonly pendingAddresses: number;
  readonly endpoints: number;
  readonly identities: number;
  readonly unreadSources: number;
  /** Of each source, how long nothing was heard of each kind. */
  readonly silencesMs: readonly Readonly<Record<string, number>>[];
  readonly addressFill: readonly AddressFill[];
}

/** Revisions whose realisation is still being measured; the oldest are given up. */
const mostTimed = 4_096;

export class ControllerMetrics {
  readonly metrics = new Metrics("controller");
  readonly flush: Histogram;
  readonly realisation: Histogram;
  readonly watchEvents: Counter<"kind">;
  readonly watchFailures: Counter<"kind">;
  readonly agentStreams: Counter;
  readonly agentsRefused: Counter;
  readonly addressFailures: Counter;
  /** When each revision was published, rising. */
  readonly #published = new Map<number, number>();

  constructor(read: () => ControllerReadings) {
    const { metrics } = this;
    this.flush = metrics.histogram({
      name: "compute_duration_seconds",
      help: "Time to compute what a change means for every node.",
    });
    this.realisation = metrics.histogram({
      name: "realisation_duration_seconds",
      help: "From the publication of a change until a node's switch has confirmed it, once for each node.",
    });
    this.watchEvents = metrics.counter({
      name: "watch_events_total",
      help: "Objects that the API servers told to be new, changed or gone.",
      labels: ["kind"],
    });
    this.watchFailures = metrics.counter({
      name: "watch_failures_total",
      help: "Lists and watches that failed and are tried again.",
      labels: ["kind"],
    });
    this.agentStreams = metrics.counter({
      name: "agent_streams_total",
      help: "Streams of agents that were served.",
    });
    this.agentsRefused = metrics.counter({
      name: "agents_refused_total",
      help: "Agents that did not prove their node, or came before its API server was read.",
    });
    this.addressFailures = metrics.counter({
      name: "address_failures_total",
      help: "Attempts to give or take back a pod's addresses that failed and are repeated.",
    });
    this.#addReadings(read);
    this.#addSourceReadings(read);
    this.#addAgentReadings(read);
  }

  published(revision: number): void {
    this.#published.set(revision, performance.now());
    const [oldest] = this.#published.keys();
    if (this.#published.size > mostTimed && oldest !== undefined) this.#published.delete(oldest);
  }

  confirmed(revision: number): void {
    const publishedMs = this.#published.get(revision);
    if (publishedMs !== undefined) {
      this.realisation.observe((performance.now() - publishedMs) / 1000);
    }
  }

  #addReadings(read: () => ControllerReadings): void {
    const { metrics } = this;
    const gauge = (name: string, help: string, value: (now: ControllerReadings) => number): void =>
      metrics.gauge({ name, help }, () => value(read()));
    gauge("revision", "Revision of what was last computed.", ({ revision }) => revision);
    gauge(
      "endpoints",
      "Endpoints that take part: they have a node and addresses.",
      ({ endpoints }) => endpoints,
    );
    gauge(
      "identities",
      "Sets of endpoints that no policy tells apart.",
      ({ identities }) => identities,
    );
    gauge(
      "unread_sources",
      "API servers that have not been read completely; their agents wait.",
      ({ unreadSources }) => unreadSources,
    );
    gauge(
      "pending_addresses",
      "Pods whose addresses are still to be allocated or given back.",
      ({ pendingAddresses }) => pendingAddresses,
    );
    metrics.gauge(
      {
        name: "objects",
        help: "Objects of the API servers that are taken into account.",
        labels: ["kind"],
      },
      () => objectsByKind(read().seen),
    );
  }

  #addSourceReadings(read: () => ControllerReadings): void {
    const { metrics } = this;
    metrics.gauge(
      {
        name: "watch_silence_seconds",
        help: "How old the copy of a kind may be: since an API server last told of it, be it that nothing has changed; of several the oldest.",
        labels: ["kind"],
      },
      () => longestSilences(read().silencesMs),
    );
    metrics.gauge(
      {
        name: "pool_cut_ratio",
        help: "Share of a domain's pool that its networks have; at 1 no further network can be made.",
        labels: ["domain", "pool"],
      },
      () =>
        read().addressFill.flatMap(({ domain, pools }) =>
          pools.map(({ cidr: pool, cut }) => [{ domain, pool }, cut] as const),
        ),
    );
    const places = (name: string, help: string, value: (fill: AddressFill) => number): void =>
      metrics.gauge({ name, help, labels: ["domain"] }, () =>
        read().addressFill.map((fill) => [{ domain: fill.domain }, value(fill)] as const),
      );
    places(
      "network_places",
      "Places for endpoints in a domain's networks: one address of each family.",
      ({ places: all }) => all,
    );
    places("network_places_used", "Those that are taken.", ({ used }) => used);
  }

  #addAgentReadings(read: () => ControllerReadings): void {
    const { metrics } = this;
    metrics.gauge(
      { name: "agents_connected", help: "Agents that are being told." },
      () => read().agents.length,
    );
    metrics.gauge(
      {
        name: "agents_in_force",
        help: "Agents whose switches have confirmed all that concerns them.",
      },
      () => read().agents.filter(({ confirmed, revision }) => confirmed >= revision).length,
    );
    metrics.gauge(
      {
        name: "unrealised_resources",
        help: "Resources that some node's switch does not take, summed over the nodes.",
      },
      () => read().agents.reduce((sum, { errors }) => sum + errors.length, 0),
    );
  }
}

function longestSilences(sources: ControllerReadings["silencesMs"]): readonly Sample<"kind">[] {
  const longest = new Map<string, number>();
  for (const silences of sources) {
    for (const [kind, ms] of Object.entries(silences)) {
      longest.set(kind, Math.max(longest.get(kind) ?? 0, ms));
    }
  }
  return Array.from(longest, ([kind, ms]) => [{ kind }, ms / 1000] as const);
}

/** Over all sources: their number must not become the number of a metric's labels. */
function objectsByKind(seen: ControllerReadings["seen"]): readonly Sample<"kind">[] {
  const counts = new Map<string, number>();
  for (const [name, { objects }] of Object.entries(seen)) {
    const kind = name.slice(name.indexOf(":") + 1);
    counts.set(kind, (counts.get(kind) ?? 0) + objects);
  }
  return [...counts].map(([kind, count]) => [{ kind }, count]);
}
