// The API over HTTP: authentication, sizes, errors as Status objects, and watches that cannot pile up memory.
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { StatusError } from "../apimachinery/errors.ts";
import {
  badRequest,
  internalError,
  noSuchPath,
  type Status,
  tooLarge,
  unauthorized,
  unavailable,
} from "../apimachinery/status.ts";
import type { Log } from "../runtime/log.ts";
import { UnavailableError } from "../store/errors.ts";
import type { ApiRequest, ApiResponse } from "./api-request.ts";
import { handleApi } from "./api-router.ts";
import { anonymous, type Authenticator, type User } from "./authentication.ts";
import type { ServerCertificates } from "./certificate-files.ts";
import type { Api } from "./discovery-handlers.ts";
import { parseRequestTarget } from "./request-target.ts";
import type { ServerMetrics } from "./server-metrics.ts";
import { ObjectWatch } from "./watch-objects.ts";
import type { WatchStreams } from "./watch-streams.ts";

const bodyLimitBytes = 3 * 1024 * 1024;
/** Of a request's head. Selectors are in its URL, and can be long. */
const headLimitBytes = 1024 * 1024;

/** Paths that tell nothing and are open to everyone. */
const openPaths = new Set(["/healthz", "/livez", "/readyz", "/version"]);
const healthPaths = new Set(["/healthz", "/livez", "/readyz"]);

export interface HttpServerOptions {
  readonly authenticator: Authenticator;
  readonly certificates: ServerCertificates;
  readonly log: Log;
  readonly streams: WatchStreams;
  readonly metrics: ServerMetrics;
}

/** `api` is asked for with every request: its address is known only once the server listens. */
export function makeHttpServer(options: HttpServerOptions, api: () => Api): FastifyInstance {
  const { authority, server } = options.certificates;
  const https = {
    key: server.key,
    cert: server.certificate,
    ca: authority.certificate,
    requestCert: true,
    // A client without a certificate may have a token.
    rejectUnauthorized: false,
    minVersion: "TLSv1.2",
    maxHeaderSize: headLimitBytes,
  } as const;
  const app: FastifyInstance = fastify({
    https,
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: "idle",
    // A URL that cannot be read.
    frameworkErrors: (error, _request, reply) => void sendStatus(reply, badRequest(error.message)),
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    if (!(error instanceof StatusError) && status.code >= 500)
      options.log.error({ err: error, url: request.url }, "request failed");
    return sendStatus(reply, status);
  });
  app.setNotFoundHandler((_request, reply) => sendStatus(reply, noSuchPath()));
  app.addHook("onResponse", async ({ method, url }, reply) => {
    const isWatch = method === "GET" && /[?&]watch=(true|1)(&|$)/.test(url);
    options.metrics.observe({
      verb: isWatch ? "WATCH" : method,
      resource: resourceIn(url, api()),
      code: reply.raw.statusCode,
      durationMs: reply.elapsedTime,
    });
  });
  app.all("/*", (request, reply) => answer(options, api(), request, reply));
  return app;
}

async function answer(
  { authenticator, streams }: HttpServerOptions,
  api: Api,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { pathname, searchParams } = targetOf(request.url);
  const user = authenticator.authenticate(request.raw);
  if (user === undefined || (user === anonymous && !openPaths.has(pathname))) {
    throw new StatusError(unauthorized());
  }
  if (healthPaths.has(pathname)) return await reply.type("text/plain").send("ok");
  const result = await handleApi(api, pathname, apiRequestOf(request, searchParams, user));
  if (!(result instanceof ObjectWatch)) return send(reply, result);
  reply.hijack();
  await streams.serve(result, reply.raw);
  return reply;
}

/** The plural of a kind that is served; what anybody may make up becomes `other`. */
function resourceIn(url: string, { service }: Api): string {
  const target = parseRequestTarget(url.split("?")[0] ?? "");
  if (target === undefined) return "other";
  return service.catalog.find(target.group, target.version, target.plural)?.plural ?? "other";
}

/** @throws {StatusError} 400 */
function targetOf(text: string): URL {
  const url = URL.parse(text, "https://host");
  if (url === null) throw new StatusError(badRequest("the request's path cannot be read"));
  return url;
}

function apiRequestOf(request: FastifyRequest, query: URLSearchParams, user: User): ApiRequest {
  const { accept, "content-type": contentType, "user-agent": userAgent } = request.headers;
  const body = Buffer.isBuffer(request.body) ? request.body : undefined;
  return { method: request.method, query, accept, contentType, userAgent, body, user };
}

/** Past fastify, which would rewrite content types with parameters. */
function send(
  reply: FastifyReply,
  { code, contentType, body, warnings = [] }: ApiResponse,
): FastifyReply {
  reply.hijack();
  const response = reply.raw;
  response.statusCode = code;
  response.setHeader("content-type", contentType);
  response.setHeader("content-length", Buffer.byteLength(body));
  const texts = warnings.map((warning) => `299 - ${JSON.stringify(warning)}`);
  if (texts.length > 0) response.setHeader("warning", texts);
  response.end(body);
  return reply;
}

function sendStatus(reply: FastifyReply, status: Status): FastifyReply {
  return reply
    .code(status.code)
    .header("content-type", "application/json")
    .send(JSON.stringify(status));
}

function statusOf(error: unknown): Status {
  if (error instanceof StatusError) return error.status;
  if (error instanceof UnavailableError) return unavailable(error.message);
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "statusCode" in error ? error.statusCode : undefined;
  if (code === 413) return tooLarge(`limit is ${bodyLimitBytes}`);
  // What fastify itself refuses: a malformed request.
  if (typeof code === "number" && code >= 400 && code < 500) return badRequest(message);
  return internalError(message);
}
