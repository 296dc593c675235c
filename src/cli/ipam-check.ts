import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "../client/api-client.ts";
import { type AuditInput, audit, type Finding, findingKinds } from "../ipam/audit.ts";
import {
  type AddressObjects,
  type ApiOptions,
  auditInputOf,
  fetchAddressObjects,
  openClient,
} from "./ipam-objects.ts";
import { type Repaired, Repairer } from "./ipam-repair.ts";
import { formatTable, type OutputFormat, print } from "./output.ts";

export interface IpamCheckOptions extends ApiOptions {
  readonly repair: boolean;
  readonly settle: number;
  readonly output: OutputFormat;
}

export interface IpamReport {
  readonly domains: number;
  readonly networks: number;
  readonly endpoints: number;
  readonly pods: number;
  readonly findings: readonly (Finding | Repaired)[];
}

function idOf({ kind, object, message }: Finding): string {
  return `${kind} ${object} ${message}`;
}

interface Looked {
  readonly objects: AddressObjects;
  readonly input: AuditInput;
  readonly findings: readonly Finding[];
}

async function look(client: ApiClient): Promise<Looked> {
  const objects = await fetchAddressObjects(client);
  const input = auditInputOf(objects);
  return { objects, input, findings: audit(input) };
}

/**
 * Everything is read one kind after the other while the cluster goes on, so that a change under way looks like a fault. What
 * is found counts when it is still so after the time given.
 */
export async function checkAddresses(
  client: ApiClient,
  { settleMs, repair }: { readonly settleMs: number; readonly repair: boolean },
): Promise<IpamReport> {
  let looked = await look(client);
  const deadline = performance.now() + settleMs;
  let lasting = new Set(looked.findings.map(idOf));
  while (lasting.size > 0 && performance.now() < deadline) {
    await sleep(Math.min(500, settleMs));
    looked = await look(client);
    const still = new Set(looked.findings.map(idOf));
    lasting = new Set([...lasting].filter((id) => still.has(id)));
  }
  const findings: (Finding | Repaired)[] = [];
  const repairer = new Repairer(client, looked.objects);
  for (const finding of looked.findings) {
    if (!lasting.has(idOf(finding))) continue;
    findings.push(repair ? await repairer.repair(finding) : finding);
  }
  const { domains, networks, endpoints, pods } = looked.input;
  return {
    domains: domains.length,
    networks: networks.length,
    endpoints: endpoints.length,
    pods: pods.length,
    findings,
  };
}

function isRepaired(finding: Finding | Repaired): boolean {
  return "repaired" in finding && finding.repaired;
}

export function formatReport({ domains, networks, endpoints, pods, findings }: IpamReport): string {
  const counts = `${endpoints} endpoints of ${pods} pods in ${networks} networks of ${domains} domains`;
  if (findings.length === 0) return `${counts}: all as it should be`;
  const rows = findings.map((finding) => [
    finding.kind,
    finding.object,
    finding.message,
    ...("repair" in finding ? [finding.repair] : []),
  ]);
  const repairs = findings.some((finding) => "repair" in finding);
  const head = ["FINDING", "OBJECT", "WHAT", ...(repairs ? ["REPAIR"] : [])];
  const left = findings.filter((finding) => !isRepaired(finding)).length;
  const meanings = [...new Set(findings.map(({ kind }) => kind))].map(
    (kind) => `  ${kind}: ${findingKinds[kind]}`,
  );
  const end = repairs
    ? `${findings.length - left} of ${findings.length} findings repaired`
    : `${findings.length} findings; --repair puts right what it can`;
  return [counts, "", formatTable(head, rows), "", ...meanings, "", end].join("\n");
}

/** The exit code is 1 while something is wrong. */
export async function ipamCheck(options: IpamCheckOptions): Promise<void> {
  const client = openClient(options);
  try {
    const { repair, settle } = options;
    const report = await checkAddresses(client, { settleMs: settle * 1000, repair });
    print(options.output, report, () => formatReport(report));
    if (!report.findings.every(isRepaired)) process.exitCode = 1;
  } finally {
    await client.close();
  }
}
