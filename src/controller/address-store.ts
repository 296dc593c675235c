// The address controller's store: the API server.
import type { ApiClient } from "../client/api-client.ts";
import { endpointKind } from "../kinds/endpoint.ts";
import { networkKind } from "../kinds/network.ts";
import { StatusError } from "../apimachinery/errors.ts";
import type { KubeObject } from "../apimachinery/kind.ts";
import type { AddressStore } from "./address-controller.ts";
import { knownEndpoint } from "./model-feed.ts";

function keyOf({ metadata: { namespace, name } }: KubeObject): string {
  return `${namespace}/${name}`;
}

export function addressStore(client: ApiClient): AddressStore {
  return {
    async read() {
      const [networks, endpoints] = await Promise.all([
        client.list(networkKind),
        client.list(endpointKind),
      ]);
      return {
        networks: new Map(
          networks.items.map((item) => [
            keyOf(item),
            { ...item.spec, zone: item.metadata.namespace ?? "" },
          ]),
        ),
        endpoints: new Map(
          endpoints.items.map((item) => [keyOf(item), knownEndpoint(keyOf(item), item)]),
        ),
      };
    },
    async createNetwork(namespace, domain, cidrs) {
      const created = await client.create(networkKind, {
        apiVersion: "isobar.io/v1alpha1",
        kind: "Network",
        metadata: { namespace, generateName: "pods-" },
        spec: { domain, cidrs: [...cidrs] },
      });
      return created.metadata.name;
    },
    async createEndpoint(namespace, name, { podUid, network, addresses, ...rest }) {
      const owner = { apiVersion: "v1", kind: "Pod", name, uid: podUid };
      const created = await client.create(endpointKind, {
        apiVersion: "isobar.io/v1alpha1",
        kind: "Endpoint",
        metadata: { namespace, name, ownerReferences: [owner] },
        spec: {
          ...rest,
          network: network.slice(network.indexOf("/") + 1),
          addresses: [...addresses],
          attachment: { kind: "Pod", name, uid: podUid },
        },
      });
      return knownEndpoint(`${namespace}/${name}`, created);
    },
    async deleteEndpoint(namespace, name, uid) {
      try {
        await client.delete(endpointKind, { namespace, name }, { preconditions: { uid } });
      } catch (error) {
        if (!(error instanceof StatusError && error.status.code === 404)) throw error;
      }
    },
  };
}
