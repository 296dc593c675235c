// kubectl against the cluster, run where the API server can be reached.
import { runCommand } from "../../src/runtime/command.ts";

export class Kubectl {
  readonly #command: readonly [string, ...string[]];

  constructor(options: { netns: string; kubernetes: string; kubeconfig: string }) {
    const { netns, kubernetes, kubeconfig } = options;
    const program = [kubernetes, "kubectl", `--kubeconfig=${kubeconfig}`];
    this.#command = ["nsenter", `--net=${netns}`, "--", ...program];
  }

  /** @returns what it printed. @throws {CommandError} with what it said */
  async run(...args: readonly string[]): Promise<string> {
    return await runCommand([...this.#command, ...args]);
  }

  /** What a JSONPath template makes of the objects. */
  async get(template: string, ...args: readonly string[]): Promise<string> {
    return await this.run("get", `--output=jsonpath=${template}`, ...args);
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: "v1", kind: "List", items: objects };
    await runCommand(
      [...this.#command, "apply", "--server-side", "--filename=-"],
      JSON.stringify(list),
    );
  }
}
