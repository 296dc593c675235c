// Validation of containers (k8s.io/kubernetes/pkg/apis/core/validation, validateContainers).
import {
  duplicate,
  forbidden,
  invalid,
  invalidEach,
  notFound,
  notSupported,
  required,
} from "../apimachinery/field-error.ts";
import type { FieldError } from "../apimachinery/kind.ts";
import {
  checkConfigKey,
  checkDnsLabel,
  checkEnvironmentName,
  checkPortName,
  checkPortNumber,
} from "../apimachinery/names.ts";
import { parseQuantity } from "../apimachinery/quantity.ts";
import { protocolNumbers } from "../net/protocol.ts";
import type { Container, ContainerPort, Probe } from "./pod-type.ts";

type EnvironmentVariable = NonNullable<Container["env"]>[number];

const protocols = Object.keys(protocolNumbers).toSorted();
const pullPolicies = ["Always", "IfNotPresent", "Never"];
const handlers = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;

/** What a container's parts refer to. */
interface Surroundings {
  readonly volumeNames: ReadonlySet<string>;
  readonly hostNetwork: boolean;
}

/** Several paths may not hold the same value: finds the second and later ones. */
function validateUnique(values: readonly { value: string; path: string }[]): FieldError[] {
  const seen = new Set<string>();
  return values.flatMap(({ value, path }) => {
    if (value === "" || !seen.has(value)) {
      seen.add(value);
      return [];
    }
    return [duplicate(path, value)];
  });
}

function validatePort(port: ContainerPort, path: string, hostNetwork: boolean): FieldError[] {
  const { name = "", containerPort, hostPort, protocol = "TCP" } = port;
  const errors = name === "" ? [] : invalidEach(`${path}.name`, name, checkPortName(name));
  if (containerPort === 0) errors.push(required(`${path}.containerPort`));
  else {
    const messages = checkPortNumber(containerPort);
    errors.push(...invalidEach(`${path}.containerPort`, containerPort, messages));
  }
  if (hostPort !== undefined && hostPort !== 0) {
    errors.push(...invalidEach(`${path}.hostPort`, hostPort, checkPortNumber(hostPort)));
    if (hostNetwork && hostPort !== containerPort) {
      const rule = "must match `hostPort` when `hostNetwork` is true";
      errors.push(invalid(`${path}.containerPort`, containerPort, rule));
    }
  }
  if (!protocols.includes(protocol)) {
    errors.push(notSupported(`${path}.protocol`, protocol, protocols));
  }
  return errors;
}

function validatePorts(
  ports: readonly ContainerPort[],
  path: string,
  hostNetwork: boolean,
): FieldError[] {
  const names = ports.map(({ name = "" }, index) => ({
    value: name,
    path: `${path}[${index}].name`,
  }));
  return [
    ...ports.flatMap((port, index) => validatePort(port, `${path}[${index}]`, hostNetwork)),
    ...validateUnique(names),
  ];
}

function validateVariable(variable: EnvironmentVariable, path: string): FieldError[] {
  const { name, value = "", valueFrom } = variable;
  const errors =
    name === ""
      ? [required(`${path}.name`)]
      : invalidEach(`${path}.name`, name, checkEnvironmentName(name));
  if (valueFrom === undefined) return errors;
  const sources = Object.keys(valueFrom).length;
  if (sources === 0) {
    const kinds = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
    errors.push(invalid(`${path}.valueFrom`, "", `must specify one of: ${kinds}`));
  } else if (value !== "") {
    errors.push(invalid(`${path}.valueFrom`, "", "may not be specified when `value` is not empty"));
  }
  if (sources > 1) {
    const rule = "may not have more than one field specified at a time";
    errors.push(invalid(`${path}.valueFrom`, "", rule));
  }
  for (const source of ["configMapKeyRef", "secretKeyRef"] as const) {
    const key = valueFrom[source]?.key;
    if (key === undefined) continue;
    const field = `${path}.valueFrom.${source}.key`;
    errors.push(...(key === "" ? [required(field)] : invalidEach(field, key, checkConfigKey(key))));
  }
  return errors;
}

function validateMounts(container: Container, path: string, around: Surroundings): FieldError[] {
  const errors: FieldError[] = [];
  const paths = new Set<string>();
  for (const [index, { name, mountPath }] of (container.volumeMounts ?? []).entries()) {
    const field = `${path}[${index}]`;
    if (name === "") errors.push(required(`${field}.name`));
    else if (!around.volumeNames.has(name)) errors.push(notFound(`${field}.name`, name));
    if (mountPath === "") errors.push(required(`${field}.mountPath`));
    else if (paths.has(mountPath)) {
      errors.push(invalid(`${field}.mountPath`, mountPath, "must be unique"));
    }
    paths.add(mountPath);
  }
  return errors;
}

type Handler = Partial<Record<(typeof handlers)[number], object | undefined>>;

/** A probe or a hook does one thing. */
function validateHandler(handler: Handler, path: string): FieldError[] {
  const [first, ...others] = handlers.filter((name) => handler[name] !== undefined);
  if (first === undefined) return [required(path, "must specify a handler type")];
  const rule = "may not specify more than 1 handler type";
  return others.map((name) => forbidden(`${path}.${name}`, rule));
}

function validateProbe(probe: Probe, path: string, once: boolean): FieldError[] {
  const errors = validateHandler(probe, path);
  const target = probe.httpGet?.port ?? probe.tcpSocket?.port;
  if (target !== undefined) {
    const field = `${path}.${probe.httpGet ? "httpGet" : "tcpSocket"}.port`;
    const messages = typeof target === "number" ? checkPortNumber(target) : checkPortName(target);
    errors.push(...invalidEach(field, target, messages));
  }
  const numbers = [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ] as const;
  for (const name of numbers) {
    const value = probe[name] ?? 0;
    if (value < 0)
      errors.push(invalid(`${path}.${name}`, value, "must be greater than or equal to 0"));
  }
  if (once && (probe.successThreshold ?? 1) !== 1) {
    errors.push(invalid(`${path}.successThreshold`, probe.successThreshold, "must be 1"));
  }
  return errors;
}

/** Quantities that do not parse were found before. */
function nano(text: string): bigint {
  return parseQuantity(text) ?? 0n;
}

function validateResources({ resources = {} }: Container, path: string): FieldError[] {
  const { limits = {}, requests = {} } = resources;
  const errors: FieldError[] = [];
  for (const [list, quantities] of Object.entries({ limits, requests })) {
    for (const [name, text] of Object.entries(quantities)) {
      if (nano(text) >= 0n) continue;
      errors.push(invalid(`${path}.${list}[${name}]`, text, "must be greater than or equal to 0"));
    }
  }
  for (const [name, text] of Object.entries(requests)) {
    const limit = limits[name];
    if (limit === undefined || nano(text) <= nano(limit)) continue;
    const rule = `must be less than or equal to ${name} limit of ${limit}`;
    errors.push(invalid(`${path}.requests`, text, rule));
  }
  return errors;
}

function validateContainer(container: Container, path: string, around: Surroundings): FieldError[] {
  const { name, image = "", imagePullPolicy, ports = [], env = [], lifecycle } = container;
  const errors =
    name === ""
      ? [required(`${path}.name`)]
      : invalidEach(`${path}.name`, name, checkDnsLabel(name));
  if (image === "") errors.push(required(`${path}.image`));
  else if (image.trim() !== image) {
    errors.push(invalid(`${path}.image`, image, "must not have leading or trailing whitespace"));
  }
  if (imagePullPolicy !== undefined && !pullPolicies.includes(imagePullPolicy)) {
    errors.push(notSupported(`${path}.imagePullPolicy`, imagePullPolicy, pullPolicies));
  }
  errors.push(...validatePorts(ports, `${path}.ports`, around.hostNetwork));
  for (const [index, variable] of env.entries()) {
    errors.push(...validateVariable(variable, `${path}.env[${index}]`));
  }
  errors.push(...validateMounts(container, `${path}.volumeMounts`, around));
  const { livenessProbe, readinessProbe, startupProbe } = container;
  if (livenessProbe) errors.push(...validateProbe(livenessProbe, `${path}.livenessProbe`, true));
  if (readinessProbe)
    errors.push(...validateProbe(readinessProbe, `${path}.readinessProbe`, false));
  if (startupProbe) errors.push(...validateProbe(startupProbe, `${path}.startupProbe`, true));
  for (const hook of ["postStart", "preStop"] as const) {
    const handler = lifecycle?.[hook];
    if (handler) errors.push(...validateHandler(handler, `${path}.lifecycle.${hook}`));
  }
  return [...errors, ...validateResources(container, `${path}.resources`)];
}

/** Checks the containers and init containers of a pod; their names are unique over both. */
export function validateContainers(
  containers: readonly Container[],
  initContainers: readonly Container[],
  around: Surroundings,
): FieldError[] {
  const all = [
    ...containers.map((container, index) => ({ container, path: `containers[${index}]` })),
    ...initContainers.map((container, index) => ({ container, path: `initContainers[${index}]` })),
  ];
  const names = all.map(({ container, path }) => ({ value: container.name, path: `${path}.name` }));
  return [
    ...all.flatMap(({ container, path }) => validateContainer(container, path, around)),
    ...validateUnique(names),
  ];
}
