// An Open vSwitch of a test's own, in a temporary folder, with the dummy datapath: no network of the machine is touched.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Where Open vSwitch itself looks for it: ovsdb-server(1). */
const schema = `${process.env["OVS_PKGDATADIR"] ?? "/usr/share/openvswitch"}/vswitch.ovsschema`;

/** The daemons die with the test process, whatever it dies of. */
function startDaemon(name: string, rundir: string, args: readonly string[]): ChildProcess {
  const common = [`--log-file=${rundir}/${name}.log`, "-vconsole:off", "-vsyslog:off"];
  return spawn("setpriv", ["--pdeathsig", "KILL", name, ...common, ...args], {
    stdio: "ignore",
    env: { ...process.env, OVS_RUNDIR: rundir, OVS_LOGDIR: rundir, OVS_DBDIR: rundir },
  });
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: exit code ${String(code)}`);
}

async function exists(path: string): Promise<void> {
  for (let waitedMs = 0; !existsSync(path); waitedMs += 5) {
    if (waitedMs > 10_000) throw new Error(`expected ${path} to appear within 10 s`);
    await sleep(5);
  }
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

export class OpenVswitch implements AsyncDisposable {
  /** Where sockets are: `db.sock`, `<bridge>.mgmt`. */
  readonly rundir = mkdtempSync(join(tmpdir(), "isobar-ovs-"));
  readonly databaseSocket = join(this.rundir, "db.sock");
  /** For unixctl. */
  readonly controlSocket = join(this.rundir, "vswitchd.ctl");
  readonly databaseControlSocket = join(this.rundir, "ovsdb.ctl");
  #server: ChildProcess | undefined;
  #switch: ChildProcess | undefined;

  /** `clustered` makes the database one that remembers its transactions. */
  static async start(
    options: { clustered?: boolean; vswitchd?: boolean } = {},
  ): Promise<OpenVswitch> {
    const ovs = new OpenVswitch();
    const database = join(ovs.rundir, "conf.db");
    await (options.clustered
      ? run("ovsdb-tool", ["create-cluster", database, schema, `unix:${ovs.rundir}/raft.sock`])
      : run("ovsdb-tool", ["create", database, schema]));
    await ovs.startServer();
    if (options.vswitchd ?? true) await ovs.startSwitch();
    return ovs;
  }

  async startServer(): Promise<void> {
    rmSync(this.databaseSocket, { force: true });
    this.#server = startDaemon("ovsdb-server", this.rundir, [
      `--remote=punix:${this.databaseSocket}`,
      `--unixctl=${this.databaseControlSocket}`,
      join(this.rundir, "conf.db"),
    ]);
    await exists(this.databaseSocket);
  }

  /** Initialises the database as ovs-ctl(8) does, then starts the switch. */
  async startSwitch(): Promise<void> {
    // The socket's file is there a moment before the server listens.
    const wait = ["--retry", "--timeout=10", "--no-wait"];
    await run("ovs-vsctl", [`--db=unix:${this.databaseSocket}`, ...wait, "init"]);
    rmSync(this.controlSocket, { force: true });
    this.#switch = startDaemon("ovs-vswitchd", this.rundir, [
      `--unixctl=${this.controlSocket}`,
      "--enable-dummy=override",
      "--disable-system",
      `unix:${this.databaseSocket}`,
    ]);
    await exists(this.controlSocket);
  }

  /** The server keeps its connections and answers nothing. */
  pauseServer(): void {
    this.#server?.kill("SIGSTOP");
  }

  resumeServer(): void {
    this.#server?.kill("SIGCONT");
  }

  async killServer(): Promise<void> {
    await kill(this.#server);
  }

  async killSwitch(): Promise<void> {
    await kill(this.#switch);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await kill(this.#switch);
    await kill(this.#server);
    rmSync(this.rundir, { recursive: true, force: true });
  }
}
