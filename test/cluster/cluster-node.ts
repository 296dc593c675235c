// A node of the cluster: a node of a lab (network namespace, Open vSwitch, underlay) with namespaces of its own for
// processes, mounts and its name, in which containerd, kubelet, and the plugin run at the paths that real nodes have.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { LabNode } from "../../src/lab/network/lab-node.ts";
import { Supervisor } from "../../src/lab/supervisor.ts";
import { runCommand } from "../../src/runtime/command.ts";
import { cgroupOf, makeCgroups } from "./cgroups.ts";
import type { ControlPlane } from "./control-plane.ts";
import { pauseImage } from "./images.ts";
import type { Programs } from "./programs.ts";
import { until } from "./until.ts";

export interface ClusterNodeOptions {
  readonly cluster: string;
  readonly host: LabNode;
  readonly programs: Programs;
  readonly plane: ControlPlane;
  /** Of this node alone. */
  readonly directory: string;
  /** Archives, which take the place of a registry. */
  readonly images: readonly string[];
}

/** Folders of a real node, each of which is this node's own. */
const folders = [
  "/etc/kubernetes",
  "/etc/cni/net.d",
  "/opt/cni/bin",
  "/var/lib/kubelet",
  "/var/lib/containerd",
  "/var/lib/isobar",
  "/var/log/pods",
  "/var/log/containers",
  "/run/containerd",
  "/run/isobar",
] as const;
type NodeFolder = (typeof folders)[number];
/** What a restart of the machine empties. */
const volatile = ["/run/containerd", "/run/isobar"] as const;

/** Debian's plugins, which the runtime calls for the loopback and for chained plugins. */
const standardPlugins = "/usr/lib/cni";

const containerdConfig = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`;

export class ClusterNode {
  readonly name: string;
  readonly host: LabNode;
  readonly #options: ClusterNodeOptions;
  readonly #supervisor = new Supervisor();

  constructor(options: ClusterNodeOptions) {
    this.#options = options;
    this.host = options.host;
    this.name = options.host.name;
  }

  /** Where a folder of this node is for others. */
  folder(path: NodeFolder): string {
    return join(this.#options.directory, "root", path);
  }

  log(name: string): string {
    return join(this.#options.directory, `${name}.log`);
  }

  /** Starts what a node has before a network plugin: containerd and kubelet. */
  async start(): Promise<void> {
    for (const folder of folders) mkdirSync(this.folder(folder), { recursive: true });
    cpSync(standardPlugins, this.folder("/opt/cni/bin"), { recursive: true });
    makeCgroups(this.#options.cluster, this.name);
    await this.#configureKubelet();
    await this.#configureProxy();
    await this.#startInit();
    this.startProgram("containerd", [
      "containerd",
      "--config=/etc/kubernetes/containerd.toml",
      "--log-level=warn",
    ]);
    await this.#importImages();
    this.startProgram("kubelet", [
      this.#options.programs.kubernetes,
      "kubelet",
      "--config=/etc/kubernetes/kubelet.json",
      "--kubeconfig=/etc/kubernetes/kubelet.kubeconfig",
      `--hostname-override=${this.name}`,
      `--node-ip=${this.host.addresses.join(",")}`,
    ]);
    this.startProgram("kube-proxy", [
      this.#options.programs.kubernetes,
      "kube-proxy",
      "--config=/etc/kubernetes/kube-proxy.json",
    ]);
  }

  /** Starts a program in the node's namespaces, and again when it has died. */
  startProgram(name: string, command: readonly [string, ...string[]]): void {
    // The program ends with its watcher, which is outside of the namespace of processes.
    const inside = this.#inside("setpriv", "--pdeathsig", "TERM", "--", ...command);
    this.#supervisor.start({ name, command: inside, logFile: this.log(name) });
  }

  /** Runs a command in the node's namespaces to its end. @throws {CommandError} */
  async run(...command: readonly [string, ...string[]]): Promise<string> {
    return await runCommand(this.#inside(...command));
  }

  /** Id of a program that was started here, as the machine sees it; `undefined` while it does not run. */
  pid(name: string): number | undefined {
    const watcher = this.#supervisor.status().find((one) => one.name === name)?.pid;
    return watcher === undefined ? undefined : childOf(watcher);
  }

  /** Ends programs as a fault would; they are started again. */
  kill(...names: readonly string[]): void {
    for (const pid of names.flatMap((name) => this.pid(name) ?? [])) process.kill(pid, "SIGKILL");
  }

  /** Ends everything at once, as a loss of power does, pods too; then it starts again. */
  async reboot(): Promise<void> {
    const { database, switch: datapath } = this.host.processes;
    rmSync(this.#initFile);
    for (const pid of [datapath, database, this.pid("init")]) {
      if (pid !== undefined) process.kill(pid, "SIGKILL");
    }
    await until(`the first process of ${this.name}`, () => existsSync(this.#initFile));
  }

  async stop(): Promise<void> {
    await this.#supervisor.stop();
  }

  /** The first process's id changes with every start of the node. */
  #inside(...command: readonly string[]): [string, ...string[]] {
    const enter = `exec nsenter --target "$(cat ${this.#initFile})" --mount --uts --ipc --net --pid -- "$@"`;
    return ["sh", "-c", enter, "sh", ...command];
  }

  get #initFile(): string {
    return join(this.#options.directory, "init.pid");
  }

  async #startInit(): Promise<void> {
    const { directory, programs } = this.#options;
    const ready = join(directory, "init.ready");
    const script = [
      `hostname ${this.name}`,
      // Mounts of the runtime are seen by the kubelet and the plugin, and by nobody outside.
      "mount --make-rshared /",
      `mkdir -p /run/openvswitch /run/netns ${folders.join(" ")}`,
      `mount --bind ${this.host.rundir} /run/openvswitch`,
      "mount -t tmpfs tmpfs /run/netns",
      "mount --make-shared /run/netns",
      ...folders.map((path) => `mount --bind ${this.folder(path)} ${path}`),
      ...volatile.map((path) => `find ${path} -mindepth 1 -delete`),
      `touch ${ready}`,
      `exec ${programs.workload} pause`,
    ].join("\n");
    const namespaces = ["--mount", "--uts", "--ipc", "--pid", "--mount-proc"];
    const init = ["unshare", ...namespaces, "--fork", "--kill-child", "--propagation=slave"];
    this.#supervisor.start({
      name: "init",
      command: ["nsenter", `--net=${this.host.netns}`, "--", ...init, "sh", "-ec", script],
      logFile: this.log("init"),
      onStart: (pid) => void this.#recordInit(pid, ready),
    });
    await until(`the first process of ${this.name}`, () => existsSync(this.#initFile));
  }

  /** When everything is where it belongs in its namespaces, others may enter them. */
  async #recordInit(parent: number, ready: string): Promise<void> {
    rmSync(ready, { force: true });
    await until(`the folders of ${this.name}`, () => existsSync(ready));
    writeFileSync(`${this.#initFile}.new`, String(childOf(parent)));
    renameSync(`${this.#initFile}.new`, this.#initFile);
  }

  async #importImages(): Promise<void> {
    const socket = join(this.folder("/run/containerd"), "containerd.sock");
    await until(`containerd of ${this.name}`, () => existsSync(socket));
    for (const image of this.#options.images) {
      await this.run("ctr", "--namespace=k8s.io", "images", "import", image);
    }
  }

  async #configureKubelet(): Promise<void> {
    const { cluster, plane } = this.#options;
    const etc = this.folder("/etc/kubernetes");
    const config = {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
      authentication: { x509: { clientCAFile: "/etc/kubernetes/ca.crt" } },
      staticPodPath: "/etc/kubernetes/manifests",
      volumePluginDir: "/var/lib/kubelet/volume-plugins",
      cgroupDriver: "cgroupfs",
      failCgroupV1: false,
      failSwapOn: false,
      cgroupRoot: cgroupOf(cluster, this.name),
      // The machine is shared: nothing of it is set apart for pods.
      enforceNodeAllocatable: [],
      localStorageCapacityIsolation: false,
      // The machine's memory and disk are not this node's alone.
      evictionHard: {
        "memory.available": "0%",
        "nodefs.available": "0%",
        "imagefs.available": "0%",
      },
      imageGCHighThresholdPercent: 100,
      nodeStatusUpdateFrequency: "2s",
      makeIPTablesUtilChains: false,
      registerWithTaints: [],
    };
    mkdirSync(join(etc, "manifests"), { recursive: true });
    writeFileSync(join(etc, "kubelet.json"), JSON.stringify(config));
    cpSync(plane.authorityFile, join(etc, "ca.crt"));
    const kubeconfig = await plane.makeKubeconfig(`system:node:${this.name}`, ["system:nodes"]);
    writeFileSync(join(etc, "kubelet.kubeconfig"), kubeconfig, { mode: 0o600 });
    writeFileSync(join(etc, "containerd.toml"), containerdConfig);
  }

  async #configureProxy(): Promise<void> {
    const etc = this.folder("/etc/kubernetes");
    const config = {
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      mode: "nftables",
      hostnameOverride: this.name,
      clientConnection: { kubeconfig: "/etc/kubernetes/kube-proxy.kubeconfig" },
      // The machine's own, which a namespace cannot change.
      conntrack: { maxPerCore: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    };
    writeFileSync(join(etc, "kube-proxy.json"), JSON.stringify(config));
    const kubeconfig = await this.#options.plane.makeKubeconfig("system:kube-proxy", []);
    writeFileSync(join(etc, "kube-proxy.kubeconfig"), kubeconfig, { mode: 0o600 });
  }
}

/** The one child of a process that waits for it. */
function childOf(parent: number): number | undefined {
  try {
    const [first] = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").split(" ");
    return first === undefined || first === "" ? undefined : Number(first);
  } catch {
    return undefined;
  }
}
