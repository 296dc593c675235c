// An agent without a switch: follows a controller over the real link, and confirms what it is told.
import { setTimeout as sleep } from "node:timers/promises";
import assert from "node:assert/strict";
import { ControllerDirectory } from "../../src/agent/controller-directory.ts";
import { ControllerLink } from "../../src/agent/controller-link.ts";
import { createLog } from "../../src/runtime/log.ts";
import { digestOf } from "../../src/southbound/digest.ts";
import { keyText } from "../../src/southbound/encoded.ts";
import type { Resource, ResourceKey } from "../../src/southbound/resources.ts";

interface Refusal {
  readonly resource: ResourceKey;
  readonly message: string;
}

export class FollowingAgent implements AsyncDisposable {
  readonly node: string;
  readonly resources = new Map<string, Resource>();
  /** What its switch does not take. */
  readonly #refuses: (resource: Resource) => string | undefined;
  /** Awaited before each confirmation. */
  gate: Promise<unknown> = Promise.resolve();
  isFollowing = false;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(
    node: string,
    controller: string,
    refuses: (resource: Resource) => string | undefined = () => undefined,
  ) {
    this.node = node;
    this.#refuses = refuses;
    const log = createLog({ name: node, level: "fatal" });
    const access = { controllers: [{ kind: "unix", path: controller }] } as const;
    const link = new ControllerLink({
      directory: new ControllerDirectory(access, log),
      node,
      have: () =>
        Object.fromEntries(
          [...this.resources].map(([key, resource]) => [key, digestOf(resource)] as const),
        ),
      onDelta: async (delta) => {
        for (const key of delta.deletes) this.resources.delete(keyText(key));
        for (const resource of delta.upserts) this.resources.set(keyText(resource), resource);
        await this.gate;
        this.isFollowing = true;
        return this.#refusals();
      },
      log,
    });
    this.#done = link.run(this.#stop.signal);
  }

  /** Ids of what it was told of a kind, sorted. */
  ids(kind: Resource["kind"]): string[] {
    const all = [...this.resources.values()].filter((resource) => resource.kind === kind);
    return all.map(({ id }) => id).toSorted();
  }

  async until(condition: () => boolean): Promise<void> {
    await until(condition);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  #refusals(): Refusal[] {
    return [...this.resources.values()].flatMap((resource) => {
      const message = this.#refuses(resource);
      return message === undefined ? [] : [{ resource, message }];
    });
  }
}

/** Waits for something to become true, and fails when it does not. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `not within ${timeoutMs} ms: ${condition.toString()}`);
    await sleep(10);
  }
}
