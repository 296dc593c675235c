// Reads netpol.yaml.
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { isPortProtocol } from "../../src/net/protocol.ts";
import type { PolicySpecs } from "../policy-cases/objects.ts";
import type { ConformanceCase, ConformanceStep, ExpectedCell, Service } from "./case.ts";

interface StepText {
  readonly policies: PolicySpecs;
  readonly labels?: ConformanceStep["labels"];
  readonly expect: string;
}

interface CaseText {
  readonly upstream: string;
  readonly pods: string;
  readonly steps: readonly StepText[];
}

interface Line extends Service {
  readonly from: RegExp;
  readonly to: RegExp;
  readonly verdict: "allow" | "deny";
}

const linePattern =
  /^(?<protocol>tcp|udp|sctp)\/(?<port>\d+)(?: (?<from>\S+) -> (?<to>\S+))?: (?<verdict>allow|deny)$/;

/** `*`, `x/*` or `x/a`. */
function patternOf(text = "*"): RegExp {
  return new RegExp(`^${text.replaceAll("*", ".*")}$`);
}

function parseLine(text: string): Line {
  const groups = linePattern.exec(text)?.groups;
  const protocol = groups?.["protocol"]?.toUpperCase() ?? "";
  if (groups === undefined || !isPortProtocol(protocol)) {
    throw new Error(`expected "tcp/80 from -> to: deny", got "${text}"`);
  }
  return {
    protocol,
    port: Number(groups["port"]),
    from: patternOf(groups["from"]),
    to: patternOf(groups["to"]),
    verdict: groups["verdict"] === "allow" ? "allow" : "deny",
  };
}

/** Each port that a line names is tried between all pods: open unless a line says otherwise, of which the last counts. */
function expectedCells(text: string, pods: readonly string[]): ExpectedCell[] {
  const lines = text.trim().split("\n").map(parseLine);
  const services = new Map(
    lines.map(({ protocol, port }) => [`${protocol}/${port}`, { protocol, port }]),
  );
  return [...services.values()].flatMap(({ protocol, port }) =>
    pods.flatMap((from) =>
      pods
        .filter((to) => to !== from)
        .map((to): ExpectedCell => {
          const said = lines.findLast(
            (line) =>
              line.protocol === protocol &&
              line.port === port &&
              line.from.test(from) &&
              line.to.test(to),
          );
          return { from, to, protocol, port, verdict: said?.verdict ?? "allow" };
        }),
    ),
  );
}

/** The cases of Kubernetes' own tests. @throws {Error} when one cannot be read */
export function netpolCases(): readonly ConformanceCase[] {
  const texts: readonly CaseText[] = parse(
    readFileSync(new URL("netpol.yaml", import.meta.url), "utf8"),
  );
  return texts.map(({ upstream, pods, steps }) => ({
    upstream,
    steps: steps.map(({ policies, labels = {}, expect }) => ({
      policies,
      labels,
      pods: {},
      expected: expectedCells(expect, pods.split(" ")),
    })),
  }));
}
