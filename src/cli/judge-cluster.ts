// What a cluster's facts mean: whether Isobar can be installed, and once it is, whether it does what it should.
import { prefixContains, tryParseAddress, tryParsePrefix } from "../net/address.ts";
import type { ClusterFacts, EndpointFact, ProgramFact } from "./cluster-facts.ts";
import { type Finding, bad, doubtful, good, unknown } from "./finding.ts";
import { versionIn } from "./metric-values.ts";

const oldestMinor = 20;
/** Findings name some of many. */
const mostNamed = 3;

function some(names: readonly string[]): string {
  const shown = names.slice(0, mostNamed).join(", ");
  return names.length > mostNamed ? `${shown} and ${names.length - mostNamed} more` : shown;
}

function judgeVersion({ version }: ClusterFacts): Finding {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  if (Number(major) === 1 && Number(minor) >= oldestMinor) {
    return good("api-server", `Kubernetes ${version}`);
  }
  return bad(
    "api-server",
    `Kubernetes ${version} is too old`,
    `upgrade to 1.${oldestMinor} or newer`,
  );
}

/** Pools must be nobody else's: what is in them is sent into the overlay. */
function judgePools({ domains, nodes, serviceAddress }: ClusterFacts): Finding[] {
  const check = "pools";
  if (domains === undefined) return [];
  if (domains.length === 0) {
    const action = "make a Domain, or let the chart do it (domain.create)";
    return [bad(check, "there is no Domain: pods get no addresses", action)];
  }
  const used = [
    ...nodes.flatMap(({ name, addresses }) =>
      addresses.map((address) => ({ what: `node ${name}`, address })),
    ),
    ...(serviceAddress === undefined ? [] : [{ what: "Services", address: serviceAddress }]),
  ];
  return domains.map(({ name, pools }) => {
    const prefixes = pools.flatMap((pool) => tryParsePrefix(pool) ?? []);
    const inside = used.find(({ address }) => {
      const parsed = tryParseAddress(address);
      return parsed !== undefined && prefixes.some((prefix) => prefixContains(prefix, parsed));
    });
    if (inside === undefined) return good(check, `domain ${name}: ${pools.join(", ")}`);
    return bad(
      check,
      `domain ${name}: ${inside.address} of ${inside.what} is in its pools ${pools.join(", ")}`,
      "take pools that nothing else uses; a Domain's pools cannot be removed, so make another Domain",
    );
  });
}

export function judgeBefore(facts: ClusterFacts): Finding[] {
  const { denied, otherPlugins } = facts;
  return [
    judgeVersion(facts),
    denied.length === 0
      ? good("rights", "you may install")
      : bad("rights", `you may not ${some(denied)}`, "ask for the role cluster-admin to install"),
    otherPlugins.length === 0
      ? good("other-plugins", "no other network plugin")
      : doubtful(
          "other-plugins",
          `there is another network plugin: ${some(otherPlugins)}`,
          "docs/migrate.md says how to go over from it node by node",
        ),
    ...judgePools(facts),
  ];
}

export function judgeAfter(facts: ClusterFacts): Finding[] {
  return [
    judgeController(facts),
    judgeAgents(facts),
    judgeVersions(facts),
    judgeForce(facts),
    judgeAddresses(facts),
    judgePods(facts),
    ...judgeDns(facts),
  ];
}

/** Only where a Domain asks for it. */
function judgeDns({ domains = [], agents }: ClusterFacts): Finding[] {
  const check = "dns";
  const service = domains.find(({ dnsService }) => dnsService !== undefined)?.dnsService;
  if (service === undefined) return [];
  const silent = agents.filter(
    ({ metrics }) => metrics !== undefined && metrics.get("isobar_agent_dns_listening") !== 1,
  );
  if (silent.length === 0) return [good(check, `answered by each node at ${service}`)];
  const message = `${some(silent.map(({ node }) => node))} does not answer DNS at ${service}`;
  const action =
    "make the Service, with cluster addresses; where it is there the agent's log says why, such as another server on port 53";
  return [bad(check, message, action)];
}

function judgeController({ controllers }: ClusterFacts): Finding {
  const check = "controller";
  const ready = controllers.filter((one) => one.ready);
  if (ready.length > 0) return good(check, `${some(ready.map(({ pod }) => pod))} is ready`);
  return bad(
    check,
    controllers.length === 0 ? "there is no controller" : "the controller is not ready",
    "kubectl -n NAMESPACE describe deployment isobar-controller, and its log; agents enforce what they know",
  );
}

function judgeAgents({ agents, nodes }: ClusterFacts): Finding {
  const check = "agents";
  const withAgent = new Set(agents.filter(({ ready }) => ready).map(({ node }) => node));
  const without = nodes.filter(({ name }) => !withAgent.has(name)).map(({ name }) => name);
  if (without.length === 0) return good(check, `ready on all of ${nodes.length} nodes`);
  return bad(
    check,
    `no agent is ready on ${some(without)}`,
    "look at its pod there: kubectl -n NAMESPACE get pods -o wide; /readyz says what it waits for",
  );
}

function judgeVersions({ agents, controllers }: ClusterFacts): Finding {
  const check = "versions";
  const programs = [...controllers, ...agents];
  const versions = new Set(
    programs.flatMap(({ metrics }) => (metrics && versionIn(metrics)) ?? []),
  );
  const [only] = versions;
  if (versions.size === 1) return good(check, `all are ${only}`);
  if (versions.size === 0) return unread(check, programs);
  return doubtful(
    check,
    `there are several: ${[...versions].toSorted().join(", ")}`,
    "wait for the upgrade to end, or finish it (docs/upgrade.md)",
  );
}

function judgeForce({ agents, controllers, nodes }: ClusterFacts): Finding {
  const check = "in-force";
  const read = (metric: string): number | undefined =>
    controllers.map(({ metrics }) => metrics?.get(metric)).find((value) => value !== undefined);
  const inForce = read("isobar_controller_agents_in_force");
  const refused = read("isobar_controller_unrealised_resources") ?? 0;
  if (inForce === undefined) return unread(check, controllers);
  const headless = agents.filter(
    ({ metrics }) => metrics?.get("isobar_agent_controller_connected") === 0,
  );
  if (headless.length > 0) {
    return bad(
      check,
      `agents have no controller: ${some(headless.map(({ node }) => node))}`,
      "their logs say why; TCP port 10720 of the controller's node must be open to them",
    );
  }
  if (refused > 0) {
    return bad(
      check,
      `switches do not take ${refused} resources`,
      "the controller's log names them; what they would allow stays closed",
    );
  }
  if (inForce < nodes.length) {
    return bad(
      check,
      `${inForce} of ${nodes.length} nodes have confirmed what concerns them`,
      "try again; then look at the nodes that isobar status shows as behind",
    );
  }
  return good(check, `all ${nodes.length} nodes have confirmed what concerns them`);
}

function judgeAddresses({ endpoints }: ClusterFacts): Finding {
  const check = "addresses";
  if (endpoints === undefined) {
    return unknown(check, "endpoints cannot be listed", "install the CRDs, or ask for the right");
  }
  const owners = new Map<string, EndpointFact>();
  const doubles: string[] = [];
  for (const endpoint of endpoints) {
    for (const address of endpoint.addresses) {
      const key = `${endpoint.domain} ${address}`;
      const other = owners.get(key);
      if (other !== undefined) doubles.push(`${address} of ${other.id} and ${endpoint.id}`);
      owners.set(key, endpoint);
    }
  }
  if (doubles.length === 0) {
    return good(check, `${endpoints.length} endpoints, and no address is given twice`);
  }
  return bad(
    check,
    `addresses are given twice: ${some(doubles)}`,
    "delete one of the pods of each",
  );
}

export function judgePods({ pods, endpoints }: ClusterFacts): Finding {
  const check = "pods";
  if (pods === undefined || endpoints === undefined) {
    return unknown(check, "pods or endpoints cannot be listed", "ask for the right to list them");
  }
  const known = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint.addresses]));
  const strange = pods.filter(({ id, addresses }) => {
    const given = known.get(id) ?? [];
    return addresses.some((address) => !given.includes(address));
  });
  if (strange.length === 0)
    return good(check, `${pods.length} run with the addresses they were given`);
  return doubtful(
    check,
    `${strange.length} have addresses that Isobar did not give: ${some(strange.map(({ id }) => id))}`,
    "they ran before Isobar came, and no policy is enforced on them: make them again (kubectl rollout restart)",
  );
}

function unread(check: string, programs: readonly ProgramFact[]): Finding {
  const what = programs.length === 0 ? "there are none" : "their metrics cannot be read";
  const action = "it needs the right to get pods/proxy, and the API server must reach the nodes";
  return unknown(check, what, action);
}
