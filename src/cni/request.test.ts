import assert from "node:assert/strict";
import { test } from "node:test";
import { CniError, cniErrorCodes } from "./errors.ts";
import { type CniRequest, parseRequest } from "./request.ts";

const environment = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "0123abc",
  CNI_NETNS: "/run/netns/a",
  CNI_IFNAME: "eth0",
  CNI_ARGS: "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1",
};
const config = { cniVersion: "1.1.0", name: "isobar", type: "isobar" };

type Changes = Readonly<Record<string, unknown>>;

function parse(
  variables: Readonly<Record<string, string>> = {},
  changes: Changes = {},
): CniRequest {
  const json = JSON.stringify({ ...config, ...changes });
  return parseRequest({ environment: { ...environment, ...variables }, config: json });
}

function add(
  variables?: Readonly<Record<string, string>>,
  changes?: Changes,
): CniRequest & { command: "ADD" } {
  const request = parse(variables, changes);
  assert.ok(request.command === "ADD");
  return request;
}

function failure(work: () => unknown): { code: number; text: string } {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof CniError, String(error));
    return { code: cniErrorCodes[error.code], text: `${error.message} | ${error.details}` };
  }
  return assert.fail("expected an error");
}

test("ADD takes the endpoint from the arguments as each runtime passes them", () => {
  const cases: readonly [args: string, endpoint: string, uid?: string][] = [
    [
      // containerd, CRI-O
      "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=0123abc;K8S_POD_UID=u-1",
      "shop/web-1",
      "u-1",
    ],
    // dockershim
    [
      "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=9",
      "shop/web-1",
    ],
    // podman, in the zone of the configuration
    ["IgnoreUnknown=1;K8S_POD_NAME=web", "edge/web"],
    ["IgnoreUnknown=1;K8S_POD_NAME=web;ISOBAR_ENDPOINT=shop/db.2", "shop/db.2"],
    ["ISOBAR_ENDPOINT=db", "edge/db"],
    ["K8S_POD_NAMESPACE=shop;K8S_POD_NAME=a;K8S_POD_NAME=b;", "shop/b"],
  ];
  for (const [args, endpoint, uid] of cases) {
    const request = add({ CNI_ARGS: args }, { zone: "edge" });
    assert.equal(request.endpoint, endpoint, args);
    assert.equal(request.uid, uid, args);
  }
});

test("the environment is checked, and the message names the variable", () => {
  const cases: readonly [variables: Record<string, string>, named: RegExp][] = [
    [{ CNI_CONTAINERID: "" }, /CNI_CONTAINERID must be set/],
    [{ CNI_NETNS: "", CNI_IFNAME: "" }, /CNI_NETNS and CNI_IFNAME must be set/],
    [{ CNI_CONTAINERID: "-a" }, /CNI_CONTAINERID/],
    [{ CNI_CONTAINERID: "a/b" }, /CNI_CONTAINERID/],
    [{ CNI_CONTAINERID: "a".repeat(254) }, /CNI_CONTAINERID/],
    [{ CNI_NETNS: "netns" }, /CNI_NETNS/],
    [{ CNI_IFNAME: "sixteen-letters-" }, /CNI_IFNAME/],
    [{ CNI_IFNAME: "a b" }, /CNI_IFNAME/],
    [{ CNI_IFNAME: "a/b" }, /CNI_IFNAME/],
    [{ CNI_IFNAME: ".." }, /CNI_IFNAME/],
    [{ CNI_COMMAND: "UPDATE" }, /CNI_COMMAND/],
    [{ CNI_ARGS: "" }, /CNI_ARGS must name the endpoint/],
    [{ CNI_ARGS: "K8S_POD_NAME=web-1" }, /CNI_ARGS must name the endpoint/],
    [{ CNI_ARGS: "K8S_POD_NAMESPACE=a/b;K8S_POD_NAME=c" }, /CNI_ARGS must name the endpoint/],
    [{ CNI_ARGS: "K8S_POD_NAMESPACE" }, /CNI_ARGS: expected pairs/],
    [{ CNI_ARGS: `${environment.CNI_ARGS};COLOUR=red` }, /CNI_ARGS: unknown COLOUR/],
    [{ CNI_ARGS: `${environment.CNI_ARGS};COLOUR=red;IgnoreUnknown=0` }, /unknown COLOUR/],
    [{ CNI_ARGS: `${environment.CNI_ARGS};IgnoreUnknown=maybe` }, /IgnoreUnknown/],
  ];
  for (const [variables, named] of cases) {
    const { code, text } = failure(() => parse(variables));
    assert.equal(code, 4, text);
    assert.match(text, named);
  }
  for (const yes of ["1", "true", "True"]) {
    add({ CNI_ARGS: `${environment.CNI_ARGS};COLOUR=red;IgnoreUnknown=${yes}` });
  }
});

test("the configuration is checked, with the specification's codes", () => {
  const cases: readonly [changes: Changes, code: number, named: RegExp][] = [
    [{ cniVersion: "0.3.0" }, 1, /0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0; got "0\.3\.0"/],
    [{ cniVersion: undefined }, 1, /got none/],
    [{ cniVersion: 1 }, 1, /got 1/],
    [{ name: undefined }, 7, /name/],
    [{ name: "a/b" }, 7, /name/],
    [{ mtu: "1400" }, 7, /mtu/],
    [{ mtu: 1000 }, 7, /mtu/],
    [{ zone: "Shop" }, 7, /zone/],
    [{ attachTimeoutSeconds: 0 }, 7, /attachTimeoutSeconds/],
    [{ routes: [{ dst: "10.0.0.0/33" }] }, 7, /routes\[0\]\.dst/],
    [{ routes: [{ dst: "10.0.0.0/8", gw: "10.0.0.1" }] }, 2, /routes\[0\]\.gw .*"10\.0\.0\.1"/],
    [{ dns: { nameservers: "10.0.0.10" } }, 7, /dns\.nameservers/],
    [{ mtuu: 1400 }, 2, /mtuu .*1400/],
    [{ ipam: { type: "host-local" } }, 2, /ipam .*host-local/],
    [{ ipMasq: false }, 2, /ipMasq .*false/],
    [{ runtimeConfig: { portMappings: [{ hostPort: 80 }] } }, 2, /portMappings .*chain/s],
    [{ runtimeConfig: { bandwidth: { ingressRate: 1 } } }, 2, /bandwidth .*chain/s],
    [{ runtimeConfig: { ips: ["10.0.0"] } }, 7, /runtimeConfig\.ips/],
    [{ runtimeConfig: { ips: "10.0.0.1" } }, 7, /runtimeConfig\.ips/],
  ];
  for (const [changes, code, named] of cases) {
    const got = failure(() => parse({}, changes));
    assert.match(got.text, named);
    assert.equal(got.code, code, got.text);
  }
  for (const json of ["", "{", "[]", "7", '{"name":']) {
    assert.equal(failure(() => parseRequest({ environment, config: json })).code, 6, json);
  }
});

test("no field of the configuration is taken in another form than its own, and each error names it", () => {
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    cniVersion: [1, "", "one", ["1.1.0"], {}, "1.1.0 "],
    name: [1, "", " ", "-a", "a b", "ä", {}, ["isobar"]],
    type: [1, [], {}],
    socket: [1, "", "relative", [], {}],
    zone: [1, "", "Shop", "-a", "a-", "a.b", "a".repeat(64), {}],
    mtu: ["1400", 1400.5, 0, -1, 1279, 65_536, 1e30, true, [1400]],
    routes: ["10.0.0.0/8", {}, ["10.0.0.0/8"], [{}], [{ dst: 1 }], [{ dst: "10.0.0.0" }], [null]],
    dns: ["10.0.0.10", [], { nameservers: [1] }, { domain: 1 }, { search: "a" }, { options: [{}] }],
    attachTimeoutSeconds: ["5", 0, -1, 1.5, 301, 1e30, true],
    ipam: [1, "host-local", ["host-local"], { type: "host-local" }],
    ipMasq: [1, "true", {}, false],
    capabilities: [1, "ips", ["ips"]],
    runtimeConfig: [
      1,
      "ips",
      { ips: "10.0.0.1" },
      { ips: [1] },
      { ips: ["10.0.0.256"] },
      { ips: ["fd00:::1"] },
      { mac: 1 },
      { dns: { servers: "10.0.0.10" } },
      { dns: { searches: [1] } },
      { dns: { options: 1 } },
    ],
    prevResult: [1, "none", []],
  };
  /** What is in them is others' business; of `args` only the addresses count. */
  const free = { args: [{ cni: { ips: ["10.0.0"] } }, { cni: { ips: [7] } }] };
  for (const [field, values] of Object.entries({ ...wrong, ...free })) {
    for (const value of values) {
      const { code, text } = failure(() => parse({}, { [field]: value }));
      const shown = `${field}: ${JSON.stringify(value)}: ${text}`;
      assert.ok([1, 2, 7].includes(code), shown);
      assert.match(text, field === "cniVersion" ? /version/i : new RegExp(field), shown);
      assert.ok(text.length < 1_000, shown);
    }
  }
  const known = /known are (?<all>[^|]+)/.exec(failure(() => parse({}, { more: 1 })).text);
  const all = known?.groups?.["all"]?.split(", ") ?? [];
  assert.deepEqual(all.toSorted(), Object.keys({ ...wrong, ...free }).toSorted());
});

test("whatever comes as a configuration, the answer is short and the specification's", () => {
  const bodies = [
    "",
    " ",
    "{",
    "null",
    "7",
    '"isobar"',
    "[]",
    "{}{}",
    '{"cniVersion":"1.1.0"',
    `{"cniVersion":"1.1.0","name":"${"a".repeat(1_000_000)}!","type":"isobar"}`,
    JSON.stringify({ ...config, more: "x".repeat(1_000_000) }),
    `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
    "\u0000".repeat(1_000),
  ];
  for (const body of bodies) {
    const { code, text } = failure(() => parseRequest({ environment, config: body }));
    assert.ok([1, 2, 6, 7].includes(code), `${code} ${body.slice(0, 40)}`);
    assert.ok(text.length < 2_000, `${text.length} ${body.slice(0, 40)}`);
  }
});

test("what has no effect or a default is passed over", () => {
  const { config: got } = add(
    {},
    { ipam: {}, ipMasq: true, capabilities: { ips: true }, args: { other: 1 }, zone: null },
  );
  assert.equal(got.attachTimeoutMs, 30_000);
  assert.equal(got.mtu, undefined);
  assert.equal(got.routes, undefined);
  assert.equal(got.dns, undefined);
  assert.equal(got.zone, undefined);
  add({}, { runtimeConfig: { portMappings: [], bandwidth: {} } });
});

test("what a runtime hands over in runtimeConfig counts, and the older arguments without it", () => {
  const old = add({ CNI_ARGS: `${environment.CNI_ARGS};IP=10.0.0.9/24;MAC=0a:00:00:00:00:09` });
  assert.deepEqual(old.requestedAddresses, ["10.0.0.9"]);
  assert.equal(old.requestedMac, "0a:00:00:00:00:09");
  const both = add(
    { CNI_ARGS: `${environment.CNI_ARGS};IP=10.0.0.9` },
    {
      dns: { domain: "a.example", nameservers: ["10.0.0.1"] },
      runtimeConfig: { ips: ["FD00::0:1/64"], dns: { servers: ["10.0.0.2"], searches: ["b"] } },
    },
  );
  assert.deepEqual(both.requestedAddresses, ["fd00::1"]);
  assert.deepEqual(both.config.dns, {
    domain: "a.example",
    nameservers: ["10.0.0.2"],
    search: ["b"],
  });
  const byArgs = add({}, { args: { cni: { ips: ["10.0.0.3"] } } });
  assert.deepEqual(byArgs.requestedAddresses, ["10.0.0.3"]);
});

test("DEL needs to know what, and nothing else", () => {
  const variables = { CNI_COMMAND: "DEL", CNI_CONTAINERID: "0123abc", CNI_IFNAME: "eth0" };
  const expected = { command: "DEL", container: "0123abc", interface: "eth0" };
  for (const json of ["", "{", JSON.stringify({ ...config, cniVersion: "9.9.9" })]) {
    assert.deepEqual(parseRequest({ environment: variables, config: json }), expected);
  }
  for (const name of ["CNI_CONTAINERID", "CNI_IFNAME"]) {
    const got = failure(() =>
      parseRequest({ environment: { ...variables, [name]: "" }, config: "{}" }),
    );
    assert.equal(got.code, 4);
    assert.match(got.text, new RegExp(name));
  }
});

test("CHECK, GC and STATUS exist since their versions, and need what they are about", () => {
  const checked = { CNI_COMMAND: "CHECK" };
  assert.equal(failure(() => parse(checked, { cniVersion: "0.3.1", prevResult: {} })).code, 1);
  assert.equal(failure(() => parse(checked)).code, 7);
  assert.equal(failure(() => parse(checked, { prevResult: { ips: "none" } })).code, 7);
  assert.equal(parse(checked, { cniVersion: "0.4.0", prevResult: {} }).command, "CHECK");
  for (const command of ["GC", "STATUS"]) {
    assert.equal(failure(() => parse({ CNI_COMMAND: command }, { cniVersion: "1.0.0" })).code, 1);
  }
  assert.deepEqual(parse({ CNI_COMMAND: "STATUS" }), { command: "STATUS" });
  const key = "cni.dev/valid-attachments";
  const collect = { CNI_COMMAND: "GC" };
  // Without the list everything would go.
  assert.equal(failure(() => parse(collect)).code, 7);
  assert.equal(failure(() => parse(collect, { [key]: [{ containerID: 7 }] })).code, 7);
  assert.deepEqual(parse(collect, { [key]: [{ containerID: "a", ifname: "eth0" }] }), {
    command: "GC",
    network: "isobar",
    valid: [{ container: "a", interface: "eth0" }],
  });
  // Go's empty list.
  assert.deepEqual(parse(collect, { [key]: null }), {
    command: "GC",
    network: "isobar",
    valid: [],
  });
});
