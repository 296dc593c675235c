// Validation of pods and pod templates (k8s.io/kubernetes/pkg/apis/core/validation): what decides whether the pod can run and
// be reached. Node affinity, tolerations and security contexts are checked for their fields' types only.
import {
  duplicate,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../apimachinery/field-error.ts";
import { equalJson } from "../apimachinery/json.ts";
import type { FieldError } from "../apimachinery/kind.ts";
import { validateLabels } from "../apimachinery/metadata.ts";
import { checkDnsLabel, checkDnsSubdomain, checkInRange } from "../apimachinery/names.ts";
import { validateAddress } from "./address.ts";
import { validateContainers } from "./container-validation.ts";
import type { Container, PodSpec, Volume } from "./pod-type.ts";

const restartPolicies = ["Always", "OnFailure", "Never"];
const dnsPolicies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

function validateVolumes(volumes: readonly Volume[]): FieldError[] {
  const names = new Set<string>();
  return volumes.flatMap((volume, index) => {
    const { name } = volume;
    const path = `volumes[${index}]`;
    const errors =
      name === ""
        ? [required(`${path}.name`)]
        : invalidEach(`${path}.name`, name, checkDnsLabel(name));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    const [first, ...others] = Object.keys(volume).filter((field) => field !== "name");
    if (first === undefined) errors.push(required(path, "must specify a volume type"));
    const rule = "may not specify more than 1 volume type";
    return [...errors, ...others.map((source) => forbidden(`${path}.${source}`, rule))];
  });
}

function validateScalars(spec: PodSpec): FieldError[] {
  const { restartPolicy = "", dnsPolicy = "", activeDeadlineSeconds } = spec;
  const errors: FieldError[] = [];
  if (!restartPolicies.includes(restartPolicy)) {
    errors.push(notSupported("restartPolicy", restartPolicy, restartPolicies));
  }
  if (!dnsPolicies.includes(dnsPolicy)) {
    errors.push(notSupported("dnsPolicy", dnsPolicy, dnsPolicies));
  }
  if (activeDeadlineSeconds !== undefined) {
    const messages = checkInRange(activeDeadlineSeconds, 1, 2 ** 31 - 1);
    errors.push(...invalidEach("activeDeadlineSeconds", activeDeadlineSeconds, messages));
  }
  const grace = spec.terminationGracePeriodSeconds ?? 0;
  if (grace < 0) {
    const rule = "must be greater than or equal to 0";
    errors.push(invalid("terminationGracePeriodSeconds", grace, rule));
  }
  for (const field of ["hostname", "subdomain"] as const) {
    const name = spec[field] ?? "";
    if (name !== "") errors.push(...invalidEach(field, name, checkDnsLabel(name)));
  }
  for (const field of ["nodeName", "serviceAccountName"] as const) {
    const name = spec[field] ?? "";
    if (name !== "") errors.push(...invalidEach(field, name, checkDnsSubdomain(name)));
  }
  return errors;
}

function validateHostAliases({ hostAliases = [] }: PodSpec): FieldError[] {
  return hostAliases.flatMap(({ ip, hostnames = [] }, index) => [
    ...validateAddress(ip, `hostAliases[${index}].ip`),
    ...hostnames.flatMap((name) =>
      invalidEach(`hostAliases[${index}].hostnames`, name, checkDnsSubdomain(name)),
    ),
  ]);
}

/** Checks a PodSpec that has its defaults. `path` is where it stands, `spec` or `spec.template.spec`. */
export function validatePodSpec(spec: PodSpec, path: string): FieldError[] {
  const { volumes = [], containers, initContainers = [] } = spec;
  const errors = validateVolumes(volumes);
  if (containers.length === 0) errors.push(required("containers"));
  const around = {
    volumeNames: new Set(volumes.map(({ name }) => name)),
    hostNetwork: spec.hostNetwork === true,
  };
  errors.push(...validateContainers(containers, initContainers, around));
  errors.push(...validateScalars(spec));
  errors.push(...validateLabels(spec.nodeSelector ?? {}, "nodeSelector"));
  errors.push(...validateHostAliases(spec));
  return errors.map((error) => ({ ...error, field: `${path}.${error.field}` }));
}

function withImagesOf(containers: readonly Container[], old: readonly Container[]): Container[] {
  return containers.map((container, index) => {
    const image = old[index]?.image;
    return image === undefined ? container : { ...container, image };
  });
}

const mutableFields =
  "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** The spec without what may change freely; tolerations are looked at on their own. */
function fixedPart({
  activeDeadlineSeconds: _deadline,
  tolerations: _list,
  ...rest
}: PodSpec): Omit<PodSpec, "activeDeadlineSeconds" | "tolerations"> {
  return rest;
}

/** What a running pod lets be changed; all else is a new pod. */
export function validatePodUpdate(spec: PodSpec, old: PodSpec): FieldError[] {
  const kept = (old.tolerations ?? []).every((toleration) =>
    (spec.tolerations ?? []).some((other) => equalJson(other, toleration)),
  );
  const errors = kept
    ? []
    : [
        forbidden(
          "spec.tolerations",
          "existing toleration can not be modified except its tolerationSeconds",
        ),
      ];
  const unchanged: PodSpec = {
    ...spec,
    containers: withImagesOf(spec.containers, old.containers),
    ...(spec.initContainers && {
      initContainers: withImagesOf(spec.initContainers, old.initContainers ?? []),
    }),
  };
  const before = { ...fixedPart(old) };
  // A pod gets its node once, by a binding.
  if (!before.nodeName && spec.nodeName) before.nodeName = spec.nodeName;
  if (equalJson(fixedPart(unchanged), before)) return errors;
  return [
    ...errors,
    forbidden("spec", `pod updates may not change fields other than ${mutableFields}`),
  ];
}
