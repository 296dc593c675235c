import { renameSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";

export interface KubeconfigOptions {
  readonly server: string;
  /** PEM. */
  readonly authority: string;
  readonly token: string;
  /** Name of the cluster, the user and the context. */
  readonly name: string;
}

/** A kubeconfig (v1 Config) with one context. */
function renderKubeconfig({ server, authority, token, name }: KubeconfigOptions): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name,
        cluster: {
          server,
          "certificate-authority-data": Buffer.from(authority).toString("base64"),
        },
      },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}

/** Only the owner may read it, as the token is a password. The file appears at once and complete. */
export function writeKubeconfig(path: string, options: KubeconfigOptions): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, renderKubeconfig(options), { mode: 0o600 });
  renameSync(temporary, path);
}
