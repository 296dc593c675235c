// One end of forwarding.bench.ts's connections, in the network namespace that it is started in:
//
//   node forwarding-connections.ts serve
//   node forwarding-connections.ts connect ADDRESS SECONDS     prints how many opened in a second
import { connect, createServer } from "node:net";
import { connectionPort } from "./forwarding-traffic.ts";

const atATime = 16;
const warmUpMs = 300;

function serve(): void {
  const server = createServer((socket) => socket.on("error", () => socket.destroy()));
  server.listen({ port: connectionPort, host: "0.0.0.0", backlog: 1024 });
}

async function measure(address: string, seconds: number): Promise<number> {
  const from = performance.now() + warmUpMs;
  const to = from + seconds * 1e3;
  let opened = 0;
  const next = (done: () => void): void => {
    if (performance.now() >= to) return done();
    const socket = connect({ host: address, port: connectionPort }, () => {
      const now = performance.now();
      if (now >= from && now < to) opened += 1;
      // Nothing waits for a while for packets that are late, at either end.
      socket.resetAndDestroy();
      next(done);
    });
    socket.on("error", () => next(done));
  };
  await Promise.all(Array.from({ length: atATime }, async () => await new Promise<void>(next)));
  return opened / seconds;
}

const [command, address = "", seconds = ""] = process.argv.slice(2);
if (command === "serve") serve();
else console.log(await measure(address, Number(seconds)));
