// An external IPAM for Isobar, as small as it can be: it gives out the addresses of one IPv4 range and remembers them in a
// file, written before each answer. docs/addresses.md describes the requests.
//
//   node server.ts --port 8099 --range 10.200.0.10-10.200.0.99 --state /var/lib/ipam.json
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { parseArgs } from "node:util";

/** What is read of a request. */
interface Body {
  readonly requestId?: unknown;
  readonly addresses?: unknown;
}

interface Answer {
  readonly code: number;
  readonly body: object;
}

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8099" },
    range: { type: "string", default: "10.200.0.10-10.200.0.99" },
    state: { type: "string", default: "ipam.json" },
  },
});

const range = addressesIn(values.range);
/** Request → its address. */
const allocated = new Map<string, string>(
  existsSync(values.state) ? JSON.parse(readFileSync(values.state, "utf8")) : [],
);

function addressesIn(text: string): string[] {
  const [first = 0, last = 0] = text
    .split("-")
    .map((address) => address.split(".").reduce((bits, octet) => bits * 256 + Number(octet), 0));
  return Array.from({ length: last - first + 1 }, (_, index) =>
    [24, 16, 8, 0].map((shift) => ((first + index) >>> shift) & 255).join("."),
  );
}

/** Written aside and renamed: whatever the power does, the file is whole. */
function save(): void {
  writeFileSync(`${values.state}.new`, JSON.stringify([...allocated]));
  renameSync(`${values.state}.new`, values.state);
}

/** The same request gets the same address, however often it comes. */
function allocate({ requestId, addresses }: Body): Answer {
  if (typeof requestId !== "string") return { code: 400, body: { message: "no requestId" } };
  const known = allocated.get(requestId);
  if (known !== undefined) return { code: 200, body: { addresses: [known] } };
  const taken = new Set(allocated.values());
  const wanted = Array.isArray(addresses) && addresses.length > 0 ? addresses.map(String) : range;
  const free = wanted.find((address) => range.includes(address) && !taken.has(address));
  if (free === undefined) {
    const message = `none of ${wanted.length} addresses from ${wanted[0]} on is free`;
    return { code: 409, body: { message } };
  }
  allocated.set(requestId, free);
  save();
  return { code: 200, body: { addresses: [free] } };
}

/** What is not allocated has been released before. */
function release({ requestId }: Body): Answer {
  if (typeof requestId === "string" && allocated.delete(requestId)) save();
  return { code: 200, body: {} };
}

async function read(incoming: IncomingMessage): Promise<Body> {
  let text = "";
  for await (const part of incoming) text += String(part);
  return JSON.parse(text);
}

async function answer(incoming: IncomingMessage): Promise<Answer> {
  switch (`${incoming.method} ${incoming.url}`) {
    case "POST /allocate":
      return allocate(await read(incoming));
    case "POST /release":
      return release(await read(incoming));
    case "GET /health":
      return {
        code: 200,
        body: { allocated: allocated.size, free: range.length - allocated.size },
      };
    default:
      return { code: 404, body: { message: "expected /allocate, /release or /health" } };
  }
}

async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  let answered: Answer;
  try {
    answered = await answer(incoming);
  } catch (error) {
    answered = { code: 400, body: { message: String(error) } };
  }
  outgoing.writeHead(answered.code, { "content-type": "application/json" });
  outgoing.end(JSON.stringify(answered.body));
}

const server = createServer((incoming, outgoing) => void serve(incoming, outgoing));
server.listen(Number(values.port), "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : values.port;
  process.stdout.write(`listening on http://127.0.0.1:${port}\n`);
});
