// What a cluster says of Isobar and for it, as far as the user may see. Everything goes through the API server: the metrics of
// agents and controllers as well, by its proxy.
import { StatusError } from "../apimachinery/errors.ts";
import { isObject } from "../apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import type { ApiClient } from "../client/api-client.ts";
import { domainKind } from "../kinds/domain.ts";
import { type Endpoint, endpointKind } from "../kinds/endpoint.ts";
import { nodeKind } from "../kinds/node.ts";
import { type Pod, podKind } from "../kinds/pod.ts";
import { type MetricValues, parseMetrics } from "./metric-values.ts";

export interface ProgramFact {
  readonly pod: string;
  readonly node: string;
  readonly image: string;
  readonly ready: boolean;
  /** `undefined` where they could not be read. */
  readonly metrics: MetricValues | undefined;
}

export interface EndpointFact {
  /** `namespace/name`. */
  readonly id: string;
  readonly domain: string;
  readonly addresses: readonly string[];
}

interface PodFact {
  readonly id: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

/** Lists are `undefined` where the user may not see them, or the API server does not have the kind. */
export interface ClusterFacts {
  readonly version: string;
  readonly nodes: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  readonly serviceAddress: string | undefined;
  readonly domains:
    | readonly {
        readonly name: string;
        readonly pools: readonly string[];
        /** The Service at whose addresses nodes answer DNS; absent where they do not. */
        readonly dnsService?: string;
      }[]
    | undefined;
  readonly endpoints: readonly EndpointFact[] | undefined;
  /** Pods that run and have a network of their own. */
  readonly pods: readonly PodFact[] | undefined;
  readonly agents: readonly ProgramFact[];
  readonly controllers: readonly ProgramFact[];
  /** Names of DaemonSets of other network plugins. */
  readonly otherPlugins: readonly string[];
  /** What the user may not do of what installing takes. */
  readonly denied: readonly string[];
}

/** DaemonSets by which network plugins are known. */
const pluginNames =
  /^(calico-node|cilium|canal|kube-flannel(-ds.*)?|antrea-agent|ovnkube-node.*|kube-ovn-cni|aws-node|azure-cni.*|kube-router|weave-net|kindnet)$/;

/** What installing takes, as verb, group and resource. */
const installing = [
  ["create", "apiextensions.k8s.io", "customresourcedefinitions"],
  ["create", "rbac.authorization.k8s.io", "clusterroles"],
  ["create", "apps", "daemonsets"],
  ["create", "apps", "deployments"],
  ["create", "", "namespaces"],
] as const;

const metricsPorts = { agent: 10722, controller: 10721 } as const;

/** @throws {UnavailableError} when the API server does not answer */
export async function readClusterFacts(
  client: ApiClient,
  namespace: string,
): Promise<ClusterFacts> {
  const [version, nodes, domains, endpoints, pods, plugins, denied, service] = await Promise.all([
    client.json<{ gitVersion: string }>("GET", "/version"),
    listIfSeen(client, nodeKind),
    listIfSeen(client, domainKind),
    listIfSeen(client, endpointKind),
    listIfSeen(client, podKind),
    findOtherPlugins(client),
    findDenied(client),
    findServiceAddress(client),
  ]);
  const own = (pods ?? []).filter(({ metadata }) => metadata.namespace === namespace);
  return {
    version: version.gitVersion,
    nodes: (nodes ?? []).map(({ metadata, status }) => ({
      name: metadata.name,
      addresses: (status?.addresses ?? []).map(({ address }) => address),
    })),
    serviceAddress: service,
    domains: domains?.map(({ metadata, spec }) => ({
      name: metadata.name,
      pools: spec.pools,
      ...(spec.dns && { dnsService: spec.dns.service }),
    })),
    endpoints: endpoints?.map(endpointFact),
    pods: pods?.filter(hasOwnNetwork).map(podFact),
    agents: await readPrograms(client, own, "agent"),
    controllers: await readPrograms(client, own, "controller"),
    otherPlugins: plugins,
    denied,
  };
}

async function listIfSeen<T extends KubeObject>(
  client: ApiClient,
  kind: KindDefinition<T>,
): Promise<readonly T[] | undefined> {
  try {
    return (await client.list(kind)).items;
  } catch (error) {
    if (error instanceof StatusError) return undefined;
    throw error;
  }
}

function endpointFact({ metadata, spec }: Endpoint): EndpointFact {
  return {
    id: `${metadata.namespace}/${metadata.name}`,
    domain: spec.domain,
    addresses: spec.addresses,
  };
}

function hasOwnNetwork({ spec, status, metadata }: Pod): boolean {
  const lives = status?.phase === "Running" && metadata.deletionTimestamp === undefined;
  return lives && spec?.hostNetwork !== true && spec?.nodeName !== undefined;
}

function podFact({ metadata, spec, status }: Pod): PodFact {
  return {
    id: `${metadata.namespace}/${metadata.name}`,
    node: spec?.nodeName ?? "",
    addresses: (status?.podIPs ?? []).map(({ ip }) => ip ?? ""),
  };
}

async function readPrograms(
  client: ApiClient,
  pods: readonly Pod[],
  component: keyof typeof metricsPorts,
): Promise<ProgramFact[]> {
  const found = pods.filter(
    ({ metadata }) => metadata.labels?.["app.kubernetes.io/component"] === component,
  );
  return await Promise.all(
    found.map(async (pod) => {
      const container = pod.spec?.containers.find(({ name }) => name === component);
      const named = container?.ports?.find(({ name }) => name === "metrics")?.containerPort;
      return {
        pod: pod.metadata.name,
        node: pod.spec?.nodeName ?? "",
        image: container?.image ?? "",
        ready: (pod.status?.conditions ?? []).some(
          ({ type, status }) => type === "Ready" && status === "True",
        ),
        metrics: await readMetrics(client, pod, named ?? metricsPorts[component]),
      };
    }),
  );
}

async function readMetrics(
  client: ApiClient,
  pod: Pod,
  port: number,
): Promise<MetricValues | undefined> {
  const text = await readThroughProxy(client, pod, `${port}/proxy/metrics`);
  return text === undefined ? undefined : parseMetrics(text);
}

/** What a pod answers over HTTP; `undefined` when that cannot be had. */
export async function readThroughProxy(
  client: ApiClient,
  { metadata: { namespace, name } }: Pod,
  portAndPath: string,
): Promise<string | undefined> {
  try {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}:${portAndPath}`;
    const response = await client.open("GET", path, {
      accept: "*/*",
      signal: AbortSignal.timeout(5_000),
    });
    return await response.body.text();
  } catch {
    return undefined;
  }
}

async function findOtherPlugins(client: ApiClient): Promise<string[]> {
  const list = await client
    .json<unknown>("GET", "/apis/apps/v1/daemonsets")
    .catch((error: unknown) => (error instanceof StatusError ? {} : Promise.reject(error)));
  const items = isObject(list) && Array.isArray(list["items"]) ? list["items"] : [];
  return items
    .map((item: unknown) => (isObject(item) && isObject(item["metadata"]) ? item["metadata"] : {}))
    .filter(({ name }) => typeof name === "string" && pluginNames.test(name))
    .map(({ namespace, name }) => `${String(namespace)}/${String(name)}`);
}

async function findDenied(client: ApiClient): Promise<string[]> {
  const answers = await Promise.all(
    installing.map(async ([verb, group, resource]) => {
      const review = await client.json<unknown>(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
          body: {
            apiVersion: "authorization.k8s.io/v1",
            kind: "SelfSubjectAccessReview",
            spec: { resourceAttributes: { verb, group, resource } },
          },
        },
      );
      const status = isObject(review) && isObject(review["status"]) ? review["status"] : {};
      return status["allowed"] === true ? [] : [`${verb} ${resource}`];
    }),
  );
  return answers.flat();
}

async function findServiceAddress(client: ApiClient): Promise<string | undefined> {
  try {
    const path = "/api/v1/namespaces/default/services/kubernetes";
    const service = await client.json<unknown>("GET", path);
    const spec = isObject(service) && isObject(service["spec"]) ? service["spec"] : {};
    return typeof spec["clusterIP"] === "string" ? spec["clusterIP"] : undefined;
  } catch (error) {
    if (error instanceof StatusError) return undefined;
    throw error;
  }
}
