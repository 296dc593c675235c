import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  /** What else is known, e.g. the pod that a service account's token is bound to. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface TokenUser extends User {
  readonly token: string;
  /** Whom the token is for, when that is others than this server; such a token opens nothing here. */
  readonly audiences?: readonly string[];
}

export const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

interface KnownToken {
  readonly digest: Buffer;
  readonly user: User;
  readonly audiences: readonly string[] | undefined;
}

/** Of tokens that say nothing else. */
const ownAudience = "https://kubernetes.default.svc";

/** Knows users by bearer token (RFC 6750) or by a client certificate that the server's CA has signed (CN and O). */
export class Authenticator {
  readonly #users: readonly KnownToken[];

  constructor(tokens: readonly TokenUser[]) {
    this.#users = tokens.map(({ token, audiences, ...user }) => ({
      digest: digest(token),
      user,
      audiences,
    }));
  }

  /** Undefined for a token that nobody has; anonymous when the request brings nothing at all. */
  authenticate(request: IncomingMessage): User | undefined {
    const { authorization } = request.headers;
    const token = /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    if (token !== undefined) {
      const known = this.#find(token);
      return known?.audiences === undefined ? known?.user : undefined;
    }
    if (authorization !== undefined) return undefined;
    return certificateUser(request) ?? anonymous;
  }

  /** Whose the token is, and for which of the audiences asked for; undefined when it is not for any of them. */
  review(
    token: string,
    asked: readonly string[],
  ): { readonly user: User; readonly audiences: readonly string[] } | undefined {
    const known = this.#find(token);
    if (known === undefined) return undefined;
    const { user, audiences = [ownAudience] } = known;
    const wanted = asked.length > 0 ? asked : [ownAudience];
    const common = audiences.filter((audience) => wanted.includes(audience));
    return common.length > 0 ? { user, audiences: common } : undefined;
  }

  #find(token: string): KnownToken | undefined {
    const wanted = digest(token);
    return this.#users.find((one) => timingSafeEqual(one.digest, wanted));
  }
}

/** Equal lengths make the comparison's time say nothing of the token. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function certificateUser({ socket }: IncomingMessage): User | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  const name = [subject?.CN].flat()[0];
  if (name === undefined) return undefined;
  return { name, groups: [subject.O].flat().filter((group) => group !== undefined) };
}
