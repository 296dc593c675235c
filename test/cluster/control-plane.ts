// A Kubernetes control plane in a network namespace of its own: etcd, API server, controller manager, scheduler.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type CertificatePair,
  makeAuthority,
  makeClientCertificate,
  makeServerCertificate,
} from "../../src/runtime/certificates.ts";
import type { ExternalHost } from "../../src/lab/network/lab-network.ts";
import { Supervisor } from "../../src/lab/supervisor.ts";
import type { Programs } from "./programs.ts";

export interface ControlPlaneOptions {
  /** Where the programs run. */
  readonly host: ExternalHost;
  readonly programs: Programs;
  /** For keys, logs and etcd's data. */
  readonly directory: string;
}

type Flags = Readonly<Record<string, string>>;

const securePort = 6443;
const serviceRanges = ["10.96.0.0/16", "fd00:10:96::/112"] as const;
/** The first of the range: `kubernetes.default.svc`. */
const serviceAddresses = ["10.96.0.1", "fd00:10:96::1"];

export class ControlPlane {
  readonly netns: string;
  /** Of the API server, on the nodes' underlay. */
  readonly server: string;
  readonly kubeconfig: string;
  readonly authorityFile: string;
  readonly #authority: CertificatePair;
  readonly #options: ControlPlaneOptions;
  readonly #supervisor = new Supervisor();

  private constructor(options: ControlPlaneOptions, authority: CertificatePair) {
    this.#options = options;
    this.#authority = authority;
    this.netns = options.host.netns;
    this.server = `https://${options.host.addresses[0]}:${securePort}`;
    this.kubeconfig = join(options.directory, "admin.kubeconfig");
    this.authorityFile = join(options.directory, "ca.crt");
  }

  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    const plane = new ControlPlane(options, await makeAuthority("kubernetes"));
    await plane.#writeKeys();
    plane.#startPrograms();
    return plane;
  }

  /** Ids of the programs, by name. */
  processes(): ReadonlyMap<string, number | undefined> {
    return new Map(this.#supervisor.status().map(({ name, pid }) => [name, pid]));
  }

  /** A kubeconfig with a client's certificate. */
  async makeKubeconfig(user: string, groups: readonly string[]): Promise<string> {
    const { certificate, key } = await makeClientCertificate(this.#authority, user, groups);
    return this.#kubeconfig({
      "client-certificate-data": base64(certificate),
      "client-key-data": base64(key),
    });
  }

  /** A kubeconfig with a token in a file, as in a pod of the account. */
  tokenKubeconfig(tokenFile: string): string {
    return this.#kubeconfig({ tokenFile });
  }

  async stop(): Promise<void> {
    await this.#supervisor.stop();
  }

  #kubeconfig(user: object): string {
    const authority = base64(this.#authority.certificate);
    const cluster = { server: this.server, "certificate-authority-data": authority };
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "cluster", cluster }],
      users: [{ name: "user", user }],
      contexts: [{ name: "context", context: { cluster: "cluster", user: "user" } }],
      "current-context": "context",
    });
  }

  async #writeKeys(): Promise<void> {
    const authority = this.#authority;
    const { addresses } = this.#options.host;
    const hosts = ["kubernetes.default.svc", "127.0.0.1", ...addresses, ...serviceAddresses];
    this.#write("ca.crt", authority.certificate);
    this.#write("ca.key", authority.key);
    this.#writePair("server", await makeServerCertificate(authority, hosts));
    // The name under which the API server asks kubelets.
    const group = ["system:masters"];
    this.#writePair("kubelet-client", await makeClientCertificate(authority, "apiserver", group));
    this.#writePair("accounts", await makeClientCertificate(authority, "accounts", []));
    this.#write("admin.kubeconfig", await this.makeKubeconfig("admin", group));
    for (const name of ["kube-controller-manager", "kube-scheduler"]) {
      this.#write(`${name}.kubeconfig`, await this.makeKubeconfig(`system:${name}`, []));
    }
  }

  #startPrograms(): void {
    const [advertised = ""] = this.#options.host.addresses;
    this.#start("etcd", {
      "data-dir": this.#path("etcd"),
      "listen-client-urls": "http://127.0.0.1:2379",
      "advertise-client-urls": "http://127.0.0.1:2379",
      "listen-peer-urls": "http://127.0.0.1:2380",
      "log-level": "warn",
      // What a test writes need not survive the machine.
      "unsafe-no-fsync": "true",
    });
    this.#start("kube-apiserver", {
      "etcd-servers": "http://127.0.0.1:2379",
      "advertise-address": advertised,
      "secure-port": String(securePort),
      "client-ca-file": this.#path("ca.crt"),
      "tls-cert-file": this.#path("server.crt"),
      "tls-private-key-file": this.#path("server.key"),
      "service-account-issuer": "https://kubernetes.default.svc",
      "service-account-key-file": this.#path("accounts.crt"),
      "service-account-signing-key-file": this.#path("accounts.key"),
      "kubelet-client-certificate": this.#path("kubelet-client.crt"),
      "kubelet-client-key": this.#path("kubelet-client.key"),
      "kubelet-preferred-address-types": "InternalIP",
      "authorization-mode": "Node,RBAC",
      "enable-admission-plugins": "NodeRestriction",
      "allow-privileged": "true",
      "service-cluster-ip-range": serviceRanges.join(","),
    });
    this.#start("kube-controller-manager", {
      kubeconfig: this.#path("kube-controller-manager.kubeconfig"),
      "service-account-private-key-file": this.#path("accounts.key"),
      "root-ca-file": this.#path("ca.crt"),
      "cluster-signing-cert-file": this.#path("ca.crt"),
      "cluster-signing-key-file": this.#path("ca.key"),
      "use-service-account-credentials": "true",
      "leader-elect": "false",
    });
    this.#start("kube-scheduler", {
      kubeconfig: this.#path("kube-scheduler.kubeconfig"),
      "leader-elect": "false",
    });
  }

  #start(name: string, flags: Flags): void {
    const { directory, programs } = this.#options;
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    this.#supervisor.start({
      name,
      command: ["nsenter", `--net=${this.netns}`, "--", programs.kubernetes, name, ...args],
      logFile: join(directory, `${name}.log`),
    });
  }

  #path(name: string): string {
    return join(this.#options.directory, name);
  }

  #write(name: string, text: string): void {
    writeFileSync(this.#path(name), text, { mode: 0o600 });
  }

  #writePair(name: string, { certificate, key }: CertificatePair): void {
    this.#write(`${name}.crt`, certificate);
    this.#write(`${name}.key`, key);
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
