// The cases of Kubernetes' own DNS tests (test/e2e/network/dns.go, dns_configmap.go and dns_scale_records.go of
// kubernetes/kubernetes), by their upstream names, as questions and what is expected of the answers.
import type { RecordType } from "dns-packet";

/**
 * What is asked. In records `{service:NAMESPACE/NAME}` stands for a Service's first cluster address, `{pod:NAMESPACE/NAME}` for a
 * pod's, both of the question's family; in names `{reverse:NAMESPACE/NAME}` for the reverse name of a Service's.
 */
interface DnsQuestionCase {
  readonly name: string;
  readonly type: RecordType;
  /** Sorted; `TYPE data`. None: the name has none of that type. */
  readonly records: readonly string[];
  /** The name is tried with each of these behind it, as resolvers do, until there is an answer. */
  readonly search?: readonly string[];
  /** Asked by a node and not by pods. */
  readonly fromNodes?: true;
}

interface DnsStep {
  /** YAML; created or changed before. */
  readonly objects?: string;
  /** Of the Domain's `spec.dns`; `{server}` is another DNS server. */
  readonly dns?: Readonly<Record<string, unknown>>;
  readonly questions: readonly DnsQuestionCase[];
}

export interface DnsCase {
  readonly upstream: string;
  readonly steps: readonly DnsStep[];
  /** Why it is not asked here. */
  readonly elsewhere?: string;
}

const zone = "cluster.local";
const namespace = "dns";

/** As the kubelet writes it for pods of the namespace (dnsPolicy ClusterFirst). */
const search = [`${namespace}.svc.${zone}`, `svc.${zone}`, zone];

function service(name: string, spec: string): string {
  return `
apiVersion: v1
kind: Service
metadata: { namespace: ${namespace}, name: ${name} }
spec: { ${spec} }
---`;
}

function pod(name: string, labels: string, spec = ""): string {
  return `
apiVersion: v1
kind: Pod
metadata: { namespace: ${namespace}, name: ${name}, labels: { ${labels} } }
spec: { ${spec}containers: [{ name: main, image: any }] }
---`;
}

const dual = "ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv4, IPv6]";
const http = "ports: [{ name: http, port: 80, protocol: TCP }]";

const services =
  service("dns-test-service", `clusterIP: None, selector: { dns-test: "true" }, ${dual}, ${http}`) +
  service("test-service-2", `selector: { dns-test: "true" }, ${dual}, ${http}`) +
  pod("querier", 'dns-test: "true"');

/** A headless Service without host names calls its endpoints by their addresses. */
const headless = `dns-test-service.${namespace}.svc.${zone}`;
const regular = `test-service-2.${namespace}.svc.${zone}`;

function addresses(
  of: string,
  name: string,
  rest: Partial<DnsQuestionCase> = {},
): DnsQuestionCase[] {
  return [
    { name, type: "A", records: [`A {${of}}`], ...rest },
    { name, type: "AAAA", records: [`AAAA {${of}}`], ...rest },
  ];
}

function serverQuestions(name: string, target: string, rest: Partial<DnsQuestionCase> = {}) {
  return [{ name, type: "SRV", records: [`SRV 80 ${target}`], ...rest }] as const;
}

const kubernetes = "kubernetes.default";

function partialServices(rest: Partial<DnsQuestionCase> = {}): readonly DnsQuestionCase[] {
  const partial = { search, ...rest };
  return [
    ...addresses("pod:dns/querier", "dns-test-service", partial),
    ...addresses("pod:dns/querier", `dns-test-service.${namespace}`, partial),
    ...addresses("pod:dns/querier", `dns-test-service.${namespace}.svc`, partial),
    {
      name: `_http._tcp.dns-test-service.${namespace}.svc`,
      type: "SRV",
      records: [
        "SRV 80 {host:dns/querier}.dns-test-service.dns.svc.cluster.local",
        "SRV 80 {host6:dns/querier}.dns-test-service.dns.svc.cluster.local",
      ],
      ...partial,
    },
    ...serverQuestions(`_http._tcp.test-service-2.${namespace}.svc`, regular, partial),
  ];
}

function clusterNames(paths: readonly string[]): readonly DnsQuestionCase[] {
  return [kubernetes, `${kubernetes}.svc`].map((name) => ({
    name,
    type: "A",
    records: ["A {service:default/kubernetes}"],
    search: paths,
  }));
}

const hosts =
  service(
    "dns-test-service-2",
    `clusterIP: None, selector: { dns-test-hostname-attribute: "true" }, ${dual}, ${http}`,
  ) +
  pod(
    "querier-2",
    'dns-test-hostname-attribute: "true"',
    "hostname: dns-querier-2, subdomain: dns-test-service-2, ",
  );
const host = `dns-querier-2.dns-test-service-2.${namespace}.svc.${zone}`;
const alias = `dns-test-service-3.${namespace}.svc.${zone}`;

const kubelet = "the kubelet's and the runtime's, not asked of a network";
const external = { name: "dns-externalname-upstream-local", target: "foo.example.com" };

export const dnsCases: readonly DnsCase[] = [
  {
    upstream: "should provide DNS for the cluster",
    steps: [
      {
        questions: [
          {
            name: `${kubernetes}.svc.${zone}`,
            type: "A",
            records: ["A {service:default/kubernetes}"],
          },
        ],
      },
    ],
  },
  {
    upstream: "should provide DNS for the cluster [Provider:GCE]",
    steps: [],
    elsewhere: "asks the internet",
  },
  {
    upstream: "should resolve DNS of partial qualified names for the cluster [LinuxOnly]",
    steps: [{ questions: clusterNames(search) }],
  },
  { upstream: "should provide /etc/hosts entries for the cluster", steps: [], elsewhere: kubelet },
  {
    upstream: "should provide DNS for services",
    steps: [
      {
        objects: services,
        questions: [
          ...addresses("pod:dns/querier", headless),
          ...addresses("service:dns/test-service-2", regular),
          ...serverQuestions(`_http._tcp.${regular}`, regular),
          {
            name: "{reverse:dns/test-service-2}",
            type: "PTR",
            records: [`PTR ${regular}`],
          },
        ],
      },
    ],
  },
  {
    upstream: "should resolve DNS of partial qualified names for services [LinuxOnly]",
    steps: [{ objects: services, questions: partialServices() }],
  },
  {
    upstream: "should provide DNS for pods for Hostname",
    steps: [{ objects: hosts, questions: addresses("pod:dns/querier-2", host) }],
  },
  {
    upstream: "should provide DNS for pods for Subdomain",
    steps: [
      {
        objects: hosts,
        questions: [
          ...addresses("pod:dns/querier-2", host),
          ...addresses("pod:dns/querier-2", `dns-test-service-2.${namespace}.svc.${zone}`),
        ],
      },
    ],
  },
  {
    upstream: "should provide DNS for ExternalName services",
    steps: [
      ...["foo.example.com", "bar.example.com"].map((target) => ({
        objects: service("dns-test-service-3", `type: ExternalName, externalName: ${target}`),
        questions: [{ name: alias, type: "CNAME", records: [`CNAME ${target}`] } as const],
      })),
      {
        objects: service("dns-test-service-3", `type: ClusterIP, externalName: null, ${http}`),
        questions: [{ name: alias, type: "A", records: ["A {service:dns/dns-test-service-3}"] }],
      },
    ],
  },
  { upstream: "should support configurable pod DNS nameservers", steps: [], elsewhere: kubelet },
  { upstream: "should support configurable pod resolv.conf", steps: [], elsewhere: kubelet },
  {
    upstream:
      "should work with the pod containing more than 6 DNS search paths and longer than 256 search list characters",
    steps: [
      {
        questions: clusterNames([
          ...search,
          ...[1, 2, 3, 4, 5, 6].map((index) => `${String(index).padStart(38, "0")}.k8s.io`),
        ]),
      },
    ],
  },
  {
    upstream:
      "should work with a search path containing an underscore and a search path with a single dot",
    steps: [{ questions: clusterNames(["_sip._tcp.abc_d.example.com", ...search]) }],
  },
  {
    upstream: "should work with a service name that starts with a digit",
    steps: [],
    elsewhere: "a feature gate that is off; names are answered whatever they begin with",
  },
  {
    upstream:
      "should resolve DNS of partial qualified names for services on hostNetwork pods with dnsPolicy: ClusterFirstWithHostNet [LinuxOnly]",
    steps: [{ objects: services, questions: partialServices({ fromNodes: true }) }],
  },
  {
    upstream: "spec.Hostname field is not silently ignored and is used for hostname for a Pod",
    steps: [],
    elsewhere: kubelet,
  },
  {
    upstream:
      "spec.Hostname field is silently ignored and the node hostname is used when hostNetwork is set to true for a Pod",
    steps: [],
    elsewhere: kubelet,
  },
  {
    upstream: "Change stubDomain should be able to change stubDomain configuration",
    steps: [
      {
        dns: {
          upstreams: ["{server}"],
          forwarders: [{ zone: "acme.local", servers: ["{server}"] }],
        },
        questions: [
          { name: "abc.acme.local", type: "A", records: ["A 192.0.2.11"] },
          { name: "def.acme.local", type: "AAAA", records: ["AAAA 2001:db8::12"] },
          { name: "widget.local", type: "A", records: ["A 192.0.2.13"] },
        ],
      },
      {
        // Who may not be asked any more knows nothing.
        dns: { upstreams: ["127.0.0.9:9"], forwarders: null },
        questions: [{ name: "abc.acme.local", type: "A", records: [] }],
      },
    ],
  },
  {
    upstream: "Forward PTR lookup should forward PTR records lookup to upstream nameserver",
    steps: [
      {
        dns: { upstreams: ["{server}"], forwarders: null },
        questions: [
          { name: "123.2.0.192.in-addr.arpa", type: "PTR", records: ["PTR my.test"] },
          {
            name: `9.2.${"0.".repeat(22)}8.b.d.0.1.0.0.2.ip6.arpa`,
            type: "PTR",
            records: ["PTR my.test"],
          },
        ],
      },
    ],
  },
  {
    upstream:
      "Forward external name lookup should forward externalname lookup to upstream nameserver",
    steps: [
      {
        dns: { upstreams: ["{server}"], forwarders: null },
        objects: service(external.name, `type: ExternalName, externalName: ${external.target}`),
        questions: [
          {
            name: `${external.name}.${namespace}.svc.${zone}`,
            type: "A",
            records: ["A 192.0.2.123", `CNAME ${external.target}`],
          },
          {
            name: `${external.name}.${namespace}.svc.${zone}`,
            type: "AAAA",
            records: ["AAAA 2001:db8::29", `CNAME ${external.target}`],
          },
        ],
      },
    ],
  },
  {
    upstream: "Should answer DNS query for maximum number of services per cluster",
    steps: [],
    elsewhere: "`npm run bench dns` has as many, 10,000",
  },
];

/** Of the other server: what it knows. */
export const otherServer: Readonly<Record<string, readonly string[]>> = {
  "abc.acme.local": ["A 192.0.2.11"],
  "def.acme.local": ["AAAA 2001:db8::12"],
  "widget.local": ["A 192.0.2.13"],
  "123.2.0.192.in-addr.arpa": ["PTR my.test"],
  [`9.2.${"0.".repeat(22)}8.b.d.0.1.0.0.2.ip6.arpa`]: ["PTR my.test"],
  "foo.example.com": ["A 192.0.2.123", "AAAA 2001:db8::29"],
};
