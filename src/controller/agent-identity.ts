// Who an agent is: the node on which the pod runs that the token of its service account was made for. The API server
// says so itself (TokenReview, authentication.k8s.io/v1); nothing in the token is believed without it.
import { isObject } from "../apimachinery/json.ts";
import type { ApiClient } from "../client/api-client.ts";
import { podKind } from "../kinds/pod.ts";
import { tokenAudience } from "../southbound/enrolment.ts";
import { IdentityError } from "./errors.ts";

export interface AgentIdentityOptions {
  readonly client: ApiClient;
  /** The service account of the agents. */
  readonly account: { readonly namespace: string; readonly name: string };
}

interface TokenOwner {
  readonly username: string;
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

const reviewPath = "/apis/authentication.k8s.io/v1/tokenreviews";
/** Keys of `extra` that the API server fills in: the node since Kubernetes 1.30, the pod in every version. */
const nodeKey = "authentication.kubernetes.io/node-name";
const podNameKey = "authentication.kubernetes.io/pod-name";
const podUidKey = "authentication.kubernetes.io/pod-uid";

export class AgentIdentity {
  readonly #options: AgentIdentityOptions;

  constructor(options: AgentIdentityOptions) {
    this.#options = options;
  }

  /**
   * The node that the token's owner runs on.
   * @throws {IdentityError} when the token proves no node
   * @throws {UnavailableError} @throws {StatusError} when that cannot be found out now
   */
  async nodeOf(token: string): Promise<string> {
    const owner = await this.#review(token);
    const { namespace, name } = this.#options.account;
    const expected = `system:serviceaccount:${namespace}:${name}`;
    if (owner.username !== expected) {
      throw new IdentityError(`expected a token of ${expected}, got one of ${owner.username}`);
    }
    const [pod] = owner.extra[podNameKey] ?? [];
    const [uid] = owner.extra[podUidKey] ?? [];
    if (pod === undefined || uid === undefined) {
      throw new IdentityError("the token is not bound to a pod");
    }
    const [node] = owner.extra[nodeKey] ?? [];
    return node ?? (await this.#nodeOfPod(pod, uid));
  }

  async #review(token: string): Promise<TokenOwner> {
    const review = await this.#options.client.json<unknown>("POST", reviewPath, {
      body: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        spec: { token, audiences: [tokenAudience] },
      },
    });
    const status = isObject(review) && isObject(review["status"]) ? review["status"] : {};
    const user = isObject(status["user"]) ? status["user"] : {};
    if (status["authenticated"] !== true) {
      const why = typeof status["error"] === "string" ? `: ${status["error"]}` : "";
      throw new IdentityError(`the API server does not accept the token${why}`);
    }
    // An API server that knows nothing of audiences would accept a token made for something else.
    if (!textsOf(status["audiences"]).includes(tokenAudience)) {
      throw new IdentityError(`the token is not for the audience ${tokenAudience}`);
    }
    const extra = Object.entries(isObject(user["extra"]) ? user["extra"] : {});
    return {
      username: typeof user["username"] === "string" ? user["username"] : "nobody",
      extra: Object.fromEntries(extra.map(([key, value]) => [key, textsOf(value)])),
    };
  }

  async #nodeOfPod(name: string, uid: string): Promise<string> {
    const { client, account } = this.#options;
    const pod = await client.find(podKind, { namespace: account.namespace, name });
    if (pod?.metadata.uid !== uid) {
      throw new IdentityError(`the token's pod ${account.namespace}/${name} is gone`);
    }
    const node = pod.spec?.nodeName;
    if (node !== undefined && node !== "") return node;
    throw new IdentityError(`the token's pod ${account.namespace}/${name} has no node`);
  }
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
