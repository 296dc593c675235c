import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface TokenUser extends User {
  readonly token: string;
}

export const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

/** Knows users by bearer token (RFC 6750) or by a client certificate that the server's CA has signed (CN and O). */
export class Authenticator {
  readonly #users: readonly { readonly digest: Buffer; readonly user: User }[];

  constructor(tokens: readonly TokenUser[]) {
    this.#users = tokens.map(({ token, name, groups }) => ({
      digest: digest(token),
      user: { name, groups },
    }));
  }

  /** Undefined for a token that nobody has; anonymous when the request brings nothing at all. */
  authenticate(request: IncomingMessage): User | undefined {
    const { authorization } = request.headers;
    const token = /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    if (token !== undefined) return this.#userOf(token);
    if (authorization !== undefined) return undefined;
    return certificateUser(request) ?? anonymous;
  }

  #userOf(token: string): User | undefined {
    const wanted = digest(token);
    return this.#users.find((one) => timingSafeEqual(one.digest, wanted))?.user;
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
