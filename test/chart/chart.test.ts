import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse as parseYaml } from "yaml";
import { installConflist, parseChainedPlugin } from "../../src/agent/attach/cni-installer.ts";
import { checkObject } from "../../src/apimachinery/object.ts";
import { parseNetworkConfig } from "../../src/cni/network-config.ts";
import { kinds } from "../../src/kinds/kinds.ts";
import {
  publishedName,
  publishedAuthorityKey,
  tokenAudience,
} from "../../src/southbound/enrolment.ts";
import { chart, find, findHelm, namespace, render, renderText, type Rendered } from "./render.ts";

const root = join(import.meta.dirname, "../..");

const variants: Readonly<Record<string, readonly string[]>> = {
  "as it is": [],
  "the node's own switch": ["openvswitch.mode=node"],
  "datapath in user space": ["openvswitch.privileged=true", "agent.datapathType=netdev"],
  "IPv6 nodes": ["nodeAddressFamily=IPv6", "domain.pools={fd00:10:128::/48}"],
  "dual stack": ["domain.pools={10.128.0.0/14,fd00:10:128::/48}"],
  "no CNI files": ["cni.install=false"],
  monitoring: [
    "podMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "grafanaDashboard.enabled=true",
  ],
  "an API server by address": ["apiServer.host=192.0.2.1", "apiServer.port=6443"],
  "domains of one's own": ["domain.create=false", "domain.name=blue"],
  uninstall: ["uninstall=true"],
};

/** Workloads with their pod templates. */
function templates(
  objects: readonly Rendered[],
): { name: string; object: Rendered; pod: Rendered }[] {
  return objects
    .filter(({ kind }) => kind === "DaemonSet" || kind === "Deployment")
    .map((object) => ({ name: object.metadata.name, object, pod: object.spec.template.spec }));
}

function containersOf(pod: Rendered): Rendered[] {
  return [...(pod.initContainers ?? []), ...pod.containers];
}

test("helm lint finds nothing, whatever is set", () => {
  for (const [name, settings] of Object.entries(variants)) {
    const sets = settings.flatMap((setting) => ["--set", setting]);
    const { status, stdout } = spawnSync(findHelm(), ["lint", "--strict", chart, ...sets], {
      encoding: "utf8",
    });
    assert.equal(status, 0, `${name}: ${stdout}`);
  }
});

test("every object of a kind that Isobar knows is valid", () => {
  let checked = 0;
  for (const [name, settings] of Object.entries(variants)) {
    for (const object of render(settings)) {
      const kind = kinds.find(
        (one) =>
          one.kind === object.kind &&
          [one.group, one.version].filter((part) => part !== "").join("/") === object.apiVersion,
      );
      if (kind === undefined) continue;
      checked += 1;
      const whole = kind.applyDefaults?.(object) ?? object;
      assert.deepEqual(checkObject(kind, whole), [], `${name}: ${object.kind}`);
    }
  }
  assert.ok(checked > 3 * Object.keys(variants).length, `only ${checked} objects`);
});

test("volumes, mounts, ports, labels and selectors fit together", () => {
  for (const [variant, settings] of Object.entries(variants)) {
    for (const { name, object, pod } of templates(render(settings))) {
      const where = `${variant}: ${name}`;
      const labels = object.spec.template.metadata.labels;
      for (const [key, value] of Object.entries(object.spec.selector.matchLabels)) {
        assert.equal(labels[key], value, `${where} ${key}`);
      }
      const volumes = (pod.volumes ?? []).map((volume: Rendered) => volume.name);
      const mounts = containersOf(pod).flatMap(({ volumeMounts = [] }) =>
        volumeMounts.map((mount: Rendered) => mount.name),
      );
      assert.deepEqual(new Set(mounts), new Set(volumes), where);
      for (const container of pod.containers) {
        const ports = (container.ports ?? []).map((port: Rendered) => port.name);
        for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
          const port = container[probe]?.httpGet?.port;
          if (port !== undefined) assert.ok(ports.includes(port), `${where} ${probe}`);
        }
        assert.ok(container.resources.requests.memory, where);
      }
    }
  }
});

test("only flags are used that the programs have", () => {
  const help = new Map<string, string>();
  const helpOf = (program: string): string => {
    const main = join(root, `src/main/${program.replace("isobar-", "")}.ts`);
    const known = help.get(program) ?? execFileSync(process.execPath, [main, "--help"]).toString();
    help.set(program, known);
    return known;
  };
  for (const settings of [...Object.values(variants), ["agent.linkLocal={169.254.169.254/32}"]]) {
    for (const { pod } of templates(render(settings))) {
      for (const { command, args = [] } of pod.containers) {
        const program = command.join(" ").match(/isobar-(agent|controller)/)?.[0];
        if (program === undefined) continue;
        for (const arg of args) {
          const flag = /^--[a-z-]+/.exec(arg)?.[0];
          assert.ok(
            flag !== undefined && helpOf(program).includes(`${flag} `),
            `${program} ${arg}`,
          );
        }
      }
    }
  }
  assert.deepEqual([...help.keys()].toSorted(), ["isobar-agent", "isobar-controller"]);
});

test("agents may read where controllers are and no more, and show a token that opens nothing else", () => {
  const objects = render();
  const bindings = objects.filter(({ kind }) => kind.endsWith("Binding"));
  const ofAgents = bindings.filter(({ subjects }) =>
    subjects.some(({ name }: Rendered) => name !== "isobar-controller"),
  );
  assert.deepEqual(
    ofAgents.map(({ kind, roleRef }) => [kind, roleRef.kind, roleRef.name]),
    [["RoleBinding", "Role", "isobar-agent"]],
  );
  assert.deepEqual(find(objects, "Role", "isobar-agent").rules, [
    { apiGroups: [""], resources: ["configmaps"], resourceNames: [publishedName], verbs: ["get"] },
  ]);
  const { pod } = templates(objects).find(({ name }) => name === "isobar-agent")!;
  const asked = `--controllers-configmap=${namespace}/${publishedName}`;
  assert.ok(pod.containers[0].args.includes(asked));
  const token = pod.volumes.find(({ name }: Rendered) => name === "token");
  const [{ serviceAccountToken }] = token.projected.sources;
  assert.equal(serviceAccountToken.audience, tokenAudience);
  const controllers = pod.volumes.find(({ name }: Rendered) => name === "controllers");
  assert.deepEqual(controllers.configMap, { name: publishedName, optional: true });
  assert.ok(publishedAuthorityKey === "ca.crt");
});

test("the controller is allowed what docs/sources.md says that it needs, and no wildcard", () => {
  const objects = render();
  const { rules } = find(objects, "ClusterRole", "isobar-controller");
  for (const rule of [...rules, ...find(objects, "Role", "isobar-controller").rules]) {
    assert.ok(!JSON.stringify(rule).includes("*"), JSON.stringify(rule));
  }
  const allows = (group: string, resource: string, verb: string): boolean =>
    rules.some(
      (rule: Rendered) =>
        rule.apiGroups.includes(group) &&
        rule.resources.includes(resource) &&
        rule.verbs.includes(verb),
    );
  const page = readFileSync(join(root, "docs/sources.md"), "utf8");
  const rows = [...page.matchAll(/^\| ([a-z.0-9]+) +\| ([a-z/, ]+) \| ([a-z, ]+) \|/gm)];
  assert.ok(rows.length >= 5, `${rows.length} rows`);
  for (const [, group = "", resources = "", verbs = ""] of rows) {
    for (const resource of resources.trim().split(", ")) {
      for (const verb of verbs.trim().split(", ")) {
        const core = group === "core" ? "" : group;
        assert.ok(allows(core, resource, verb), `${verb} ${resource} of ${group}`);
      }
    }
  }
});

test("nothing has all privileges unless that is asked for", () => {
  const privilegedOf = (settings: readonly string[]): string[] =>
    templates(render(settings))
      .flatMap(({ pod }) => containersOf(pod))
      .filter(({ securityContext }) => securityContext.privileged === true)
      .map(({ name }) => name);
  assert.deepEqual(privilegedOf([]), []);
  assert.deepEqual(privilegedOf(["agent.privileged=true"]), ["agent"]);
  for (const { name, pod } of templates(render())) {
    for (const { securityContext } of containersOf(pod)) {
      assert.deepEqual(securityContext.capabilities.drop, ["ALL"], name);
    }
  }
});

test("what the cluster needs first runs everywhere, first, and without a network of pods", () => {
  for (const { name, object, pod } of templates(render())) {
    assert.equal(pod.hostNetwork, true, name);
    assert.match(pod.priorityClassName, /^system-(node|cluster)-critical$/, name);
    if (object.kind === "DaemonSet") assert.deepEqual(pod.tolerations, [{ operator: "Exists" }]);
  }
  const objects = render();
  const { spec } = find(objects, "Deployment", "isobar-controller");
  assert.deepEqual([spec.replicas, spec.strategy.type], [1, "Recreate"]);
  // Upgrading the agent must not restart the switch.
  const openvswitch = find(objects, "DaemonSet", "isobar-openvswitch");
  assert.equal(openvswitch.spec.updateStrategy.type, "OnDelete");
});

test("the CNI configuration is the agent's to install, with the values' plugins behind", async (t) => {
  const argsOf = (settings: readonly string[]): string[] =>
    find(render(settings), "DaemonSet", "isobar-agent").spec.template.spec.containers[0].args;
  const args = argsOf(["cni.attachTimeoutSeconds=7"]);
  const valuesOf = (flag: string): string[] =>
    args.filter((arg) => arg.startsWith(`${flag}=`)).map((arg) => arg.slice(flag.length + 1));
  const confDir = mkdtempSync(join(tmpdir(), "isobar-chart-"));
  t.after(() => rmSync(confDir, { recursive: true }));
  const [confFile = ""] = valuesOf("--cni-conf-file");
  await installConflist({
    binDir: "",
    confDir,
    confFile,
    executable: "",
    chain: valuesOf("--cni-chain").map(parseChainedPlugin),
    attachTimeoutSeconds: Number(valuesOf("--cni-attach-timeout")[0]),
    socket: "/run/isobar/agent.sock",
  });
  const conflist = JSON.parse(readFileSync(join(confDir, "10-isobar.conflist"), "utf8"));
  const [own, ...chained] = conflist.plugins;
  const config = parseNetworkConfig(
    JSON.stringify({ cniVersion: conflist.cniVersion, name: conflist.name, ...own }),
  );
  assert.equal(config.attachTimeoutMs, 7_000);
  assert.equal(own.type, "isobar");
  const portmap = { type: "portmap", capabilities: { portMappings: true }, snat: true };
  assert.deepEqual(chained, [portmap]);
  assert.ok(!argsOf(["cni.install=false"]).some((arg) => arg.startsWith("--cni-")));
});

test("IPv6 addresses of nodes stand in brackets", () => {
  const args = find(render(["nodeAddressFamily=IPv6"]), "Deployment", "isobar-controller").spec
    .template.spec.containers[0].args;
  assert.ok(args.includes("--listen=[$(NODE_ADDRESS)]:10720"), args.join(" "));
});

test("uninstalling removes the plugin's files too, and leaves no controller", () => {
  const objects = render(["uninstall=true"]);
  assert.ok(!objects.some(({ kind }) => kind === "Deployment"));
  const { pod } = templates(objects).find(({ name }) => name === "isobar-agent")!;
  const [{ command, args }] = pod.containers;
  assert.match(command.join(" "), /isobar-agent --uninstall/);
  assert.ok(args.includes("--cni-conf-dir=/host/cni/conf"), args.join(" "));
});

test("wrong values are refused, and told by their names", () => {
  const wrong = {
    "domain.pools={10.0.0.0}": /domain.*pools/s,
    "domain.vni=0": /domain.*vni/s,
    "nodeAddressFamily=both": /nodeAddressFamily/,
    "agent.bridge=much-too-long-a-name": /agent.*bridge/s,
    "agent.tunnelUdpPort=70000": /tunnelUdpPort/,
    "openvswitch.mode=docker": /openvswitch.*mode/s,
    "agnet.bridge=x": /agnet/,
    "cni.confFile=isobar.conf": /confFile/,
  };
  for (const [setting, message] of Object.entries(wrong)) {
    assert.throws(() => renderText([setting]), message, setting);
  }
});

test("the oldest and the newest Kubernetes get kinds that they serve", () => {
  const versionOf = (version: string): string =>
    find(render([], version), "PodDisruptionBudget", "isobar-controller").apiVersion;
  assert.equal(versionOf("1.20.0"), "policy/v1beta1");
  assert.equal(versionOf("1.36.0"), "policy/v1");
  assert.throws(() => render([], "1.19.0"), /incompatible/);
});

test("the chart's version is the package's, and its CRDs come with it", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const described = parseYaml(readFileSync(join(chart, "Chart.yaml"), "utf8"));
  assert.equal(described.appVersion, version);
  const crds = readdirSync(join(chart, "crds"));
  for (const kind of ["domains", "networks", "endpoints"]) {
    assert.ok(crds.includes(`isobar.io_${kind}.yaml`), kind);
  }
  assert.equal(namespace, "isobar-system");
});
