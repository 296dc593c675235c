// The controllers' authority: made by whichever controller comes first, kept in a Secret, the same for all of them.
import { StatusError } from "../apimachinery/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import { secretKind } from "../kinds/secret.ts";
import {
  type CertificatePair,
  makeAuthority,
  makeServerCertificate,
} from "../runtime/certificates.ts";
import type { TlsCredentials } from "../runtime/stream-address.ts";
import { controllerServerName } from "../southbound/enrolment.ts";
import { AuthorityError } from "./errors.ts";

const authoritySecretName = "isobar-authority";
const dayMs = 24 * 60 * 60 * 1000;
/** Renewed long before its end; a controller that is stopped meanwhile makes a new one when it starts. */
const serverValidityMs = 90 * dayMs;

/** @throws {AuthorityError} for a Secret that holds something else; it is left alone */
export async function openAuthority(
  client: ApiClient,
  namespace: string,
): Promise<CertificatePair> {
  const place = { namespace, name: authoritySecretName };
  const found = await client.find(secretKind, place);
  if (found !== undefined) return pairIn(found.data, namespace);
  const made = await makeAuthority("isobar-controllers");
  try {
    await client.create(secretKind, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: place,
      type: "Opaque",
      data: { "ca.crt": encode(made.certificate), "ca.key": encode(made.key) },
    });
    return made;
  } catch (error) {
    // Another controller was quicker: both use what it made.
    if (!(error instanceof StatusError) || error.status.code !== 409) throw error;
    return pairIn((await client.get(secretKind, place)).data, namespace);
  }
}

/** What a controller proves itself with to agents, whatever its address. */
export async function makeControllerCredentials(
  authority: CertificatePair,
): Promise<TlsCredentials> {
  const { certificate, key } = await makeServerCertificate(authority, [controllerServerName], {
    name: controllerServerName,
    validityMs: serverValidityMs,
  });
  return { ca: authority.certificate, certificate, key };
}

function pairIn(data: Readonly<Record<string, string>> = {}, namespace: string): CertificatePair {
  const [certificate, key] = [data["ca.crt"], data["ca.key"]];
  if (certificate === undefined || key === undefined) {
    throw new AuthorityError(
      `Secret ${namespace}/${authoritySecretName}: expected ca.crt and ca.key, ` +
        `got ${Object.keys(data).join(", ") || "nothing"}; delete it to have a new authority made`,
    );
  }
  return { certificate: decode(certificate), key: decode(key) };
}

function encode(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

function decode(text: string): string {
  return Buffer.from(text, "base64").toString("utf8");
}
