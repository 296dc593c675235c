// A node's part in running pods, as far as the lab has one: a network namespace for each pod, attached by the node's agent,
// with listeners on the declared ports. Containers are not run.
import type { Pod } from "../../kinds/pod.ts";
import { type DeclaredPort, declaredPorts } from "../matrix.ts";
import { isDone, isTerminating } from "./pod-state.ts";

/** What the kubelet does to the machine. All of it can be repeated without harm. */
export interface PodActions {
  /** Gives the pod its network; resolves once its policies are in force. */
  attach(pod: PodIdentity): Promise<{ readonly addresses: readonly string[] }>;
  detach(pod: PodIdentity): Promise<void>;
  listen(pod: PodIdentity, ports: readonly DeclaredPort[]): Promise<void>;
  silence(pod: PodIdentity): Promise<void>;
}

export interface PodIdentity {
  /** `namespace/name`. */
  readonly key: string;
  readonly uid: string;
  readonly node: string;
  readonly hostNetwork: boolean;
}

/** The writes; a pod that is gone already is no error. */
export interface PodWrites {
  updateStatus(pod: Pod, status: NonNullable<Pod["status"]>): Promise<void>;
  /** Ends the grace period: removes the object. */
  remove(pod: Pod): Promise<void>;
}

export interface KubeletOptions {
  readonly actions: PodActions;
  readonly writes: PodWrites;
  /** Addresses of a node, for status.hostIPs. */
  readonly addressesOf: (node: string) => readonly string[];
  /** The present time in RFC 3339 form. */
  readonly now: () => string;
  /** Asks for the pod to be looked at again after that time. */
  readonly later: (key: string, delayMs: number) => void;
}

interface Running {
  readonly identity: PodIdentity;
  readonly addresses: readonly string[];
}

export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #pods = new Map<string, Pod>();
  readonly #running = new Map<string, Running>();
  /** Pods that something was begun for, whatever became of it: there may be something to take away. */
  readonly #begun = new Map<string, PodIdentity>();

  constructor(options: KubeletOptions) {
    this.#options = options;
  }

  setPod(key: string, pod: Pod | undefined): void {
    if (pod) this.#pods.set(key, pod);
    else this.#pods.delete(key);
  }

  /** Pods that have their network. */
  get running(): ReadonlyMap<string, Running> {
    return this.#running;
  }

  /** For a work queue. Rejects while the pod cannot be attached, e.g. before it has addresses. */
  async reconcile(key: string): Promise<void> {
    const pod = this.#pods.get(key);
    const begun = this.#begun.get(key);
    const graceMs = pod && isTerminating(pod) ? this.#graceMsOf(pod) : 0;
    if (graceMs > 0 && begun?.uid === pod?.metadata.uid) {
      this.#options.later(key, graceMs);
      return;
    }
    const gone = pod === undefined || isTerminating(pod) || isDone(pod);
    if (begun && (gone || begun.uid !== pod.metadata.uid)) await this.#stop(begun);
    if (pod === undefined) return;
    if (isTerminating(pod)) await this.#options.writes.remove(pod);
    else if (!isDone(pod) && pod.spec?.nodeName !== undefined) await this.#run(key, pod);
  }

  /**
   * How long a deleted pod that something still holds may go on serving: the grace period that was given with its deletion, as
   * if its program took all of it to end.
   */
  #graceMsOf({ metadata }: Pod): number {
    const { deletionTimestamp = "", deletionGracePeriodSeconds = 0 } = metadata;
    const endMs = Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1_000;
    return endMs - Date.parse(this.#options.now());
  }

  async #stop(identity: PodIdentity): Promise<void> {
    await this.#options.actions.silence(identity);
    await this.#options.actions.detach(identity);
    this.#running.delete(identity.key);
    this.#begun.delete(identity.key);
  }

  async #run(key: string, pod: Pod): Promise<void> {
    const { actions, writes, addressesOf, now } = this.#options;
    const node = pod.spec?.nodeName ?? "";
    const hostNetwork = pod.spec?.hostNetwork === true;
    const identity = { key, uid: pod.metadata.uid, node, hostNetwork };
    let running = this.#running.get(key);
    if (running === undefined) {
      this.#begun.set(key, identity);
      const { addresses } = hostNetwork
        ? { addresses: addressesOf(node) }
        : await actions.attach(identity);
      running = { identity, addresses };
      await actions.listen(identity, declaredPorts(pod));
      this.#running.set(key, running);
    }
    if (pod.status?.phase === "Running" && pod.status.podIP === running.addresses[0]) return;
    await writes.updateStatus(pod, runningStatus(pod, running.addresses, addressesOf(node), now()));
  }
}

function runningStatus(
  pod: Pod,
  addresses: readonly string[],
  hostAddresses: readonly string[],
  now: string,
): NonNullable<Pod["status"]> {
  const types = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
  const [podIP, hostIP] = [addresses[0], hostAddresses[0]];
  return {
    phase: "Running",
    conditions: types.map((type) => ({ type, status: "True", lastTransitionTime: now })),
    ...(hostIP === undefined ? {} : { hostIP, hostIPs: hostAddresses.map((ip) => ({ ip })) }),
    ...(podIP === undefined ? {} : { podIP, podIPs: addresses.map((ip) => ({ ip })) }),
    startTime: now,
    containerStatuses: (pod.spec?.containers ?? []).map(({ name, image = "" }) => ({
      name,
      image,
      imageID: "",
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now } },
    })),
  };
}
