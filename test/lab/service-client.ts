// A client of one service, as a program of its own: holds some connections open, makes new ones all the time, and tells every
// 50 ms what became of them. node service-client.ts ADDRESS PORT HELD PER_SECOND
import { connect } from "node:net";

const [address = "", port = "", held = "", perSecond = ""] = process.argv.slice(2);
const patienceMs = 20_000;
const tellEveryMs = 50;

/** As the test reads it. */
export interface ClientReport {
  /** New connections that were answered, by who did. */
  readonly answered: Readonly<Record<string, number>>;
  /** New ones that were not, by the error. */
  readonly failed: Readonly<Record<string, number>>;
  /** Those that are held, by who is at the other end. */
  readonly held: Readonly<Record<string, number>>;
  /** Those that ended by themselves. */
  readonly broken: Readonly<Record<string, number>>;
  /** Begun and undecided. */
  readonly open: number;
}

const answered: Record<string, number> = {};
const failed: Record<string, number> = {};
const holding: Record<string, number> = {};
const broken: Record<string, number> = {};
let open = 0;

function count(record: Record<string, number>, key: string, by = 1): void {
  record[key] = (record[key] ?? 0) + by;
}

/** The server says who it is, and holds the connection until it is told to let go. */
function hold(): void {
  const socket = connect({ host: address, port: Number(port) });
  let server: string | undefined;
  socket.on("data", (bytes) => {
    if (server !== undefined) return;
    server = bytes.toString().trim();
    count(holding, server);
    // What is silent would not notice.
    setInterval(() => socket.write("."), 200).unref();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    if (server === undefined) return void setTimeout(hold, 100);
    count(holding, server, -1);
    count(broken, server);
  });
}

function attempt(): void {
  open += 1;
  const socket = connect({ host: address, port: Number(port) });
  let done = false;
  const finish = (record: Record<string, number>, key: string): void => {
    if (done) return;
    done = true;
    open -= 1;
    count(record, key);
    socket.destroy();
  };
  socket.setTimeout(patienceMs, () => finish(failed, "ETIMEDOUT"));
  socket.on("data", (bytes) => finish(answered, bytes.toString().trim()));
  socket.on("error", (error) => finish(failed, "code" in error ? String(error.code) : "error"));
  socket.on("close", () => finish(failed, "closed"));
}

for (let index = 0; index < Number(held); index++) setTimeout(hold, 5 * index);
let due = 0;
let lastMs = performance.now();
setInterval(() => {
  const nowMs = performance.now();
  // Not all at once after a pause: a machine that is busy is not to be made busier.
  due = Math.min(due + ((nowMs - lastMs) / 1_000) * Number(perSecond), 20);
  lastMs = nowMs;
  for (; due >= 1; due -= 1) attempt();
}, 10);
setInterval(() => {
  const report: ClientReport = { answered, failed, held: holding, broken, open };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}, tellEveryMs);
