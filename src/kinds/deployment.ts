// apps/v1 Deployment. Validation: k8s.io/kubernetes/pkg/apis/apps/validation.
import type { V1Deployment } from "@kubernetes/client-node/dist/gen/models/V1Deployment.js";
import {
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../apimachinery/field-error.ts";
import { equalJson } from "../apimachinery/json.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { validateLabels } from "../apimachinery/metadata.ts";
import { formatLabelSelector, matchesSelector, selectorOf } from "../apimachinery/selector.ts";
import { ageColumn, column, nameColumn, wideColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import { validateLabelSelector } from "./label-selector.ts";
import type { ObjectOf } from "./object-type.ts";
import { applyPodSpecDefaults } from "./pod-defaults.ts";
import { validatePodSpec } from "./pod-validation.ts";

export type Deployment = ObjectOf<V1Deployment>;
type DeploymentSpec = NonNullable<Deployment["spec"]>;
type RollingUpdate = NonNullable<NonNullable<DeploymentSpec["strategy"]>["rollingUpdate"]>;

const strategyTypes = ["Recreate", "RollingUpdate"];

function validateSelector({ selector, template }: DeploymentSpec): FieldError[] {
  const path = "spec.selector";
  const { matchLabels = {}, matchExpressions = [] } = selector;
  const errors = validateLabelSelector(selector, path);
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) {
    errors.push(invalid(path, selector, "empty selector is invalid for deployment"));
  }
  if (errors.length > 0) return errors;
  const labels = template.metadata?.labels ?? {};
  if (matchesSelector(selectorOf(selector), labels)) return [];
  const rule = "`selector` does not match template `labels`";
  return [invalid("spec.template.metadata.labels", labels, rule)];
}

/** A number, or a part of the replicas such as `25%`. */
function validateAmount(amount: number | string, path: string): FieldError[] {
  if (typeof amount === "number") {
    return amount >= 0 ? [] : [invalid(path, amount, "must be greater than or equal to 0")];
  }
  const form = "a valid percent string must be a numeric string followed by an ending '%'";
  const example = "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
  return invalidEach(path, amount, /^[0-9]+%$/.test(amount) ? [] : [`${form} ${example}`]);
}

function isZero(amount: number | string): boolean {
  return amount === 0 || amount === "0%";
}

function validateRollingUpdate(update: RollingUpdate): FieldError[] {
  const path = "spec.strategy.rollingUpdate";
  const { maxSurge = 0, maxUnavailable = 0 } = update;
  const errors = [
    ...validateAmount(maxUnavailable, `${path}.maxUnavailable`),
    ...validateAmount(maxSurge, `${path}.maxSurge`),
  ];
  if (isZero(maxSurge) && isZero(maxUnavailable)) {
    errors.push(
      invalid(`${path}.maxUnavailable`, maxUnavailable, "may not be 0 when `maxSurge` is 0"),
    );
  }
  return errors;
}

function validateStrategy({ strategy = {} }: DeploymentSpec): FieldError[] {
  const { type = "", rollingUpdate } = strategy;
  if (!strategyTypes.includes(type)) {
    return [notSupported("spec.strategy.type", type, strategyTypes)];
  }
  if (type === "RollingUpdate") return validateRollingUpdate(rollingUpdate ?? {});
  if (rollingUpdate === undefined) return [];
  const rule = "may not be specified when strategy `type` is 'Recreate'";
  return [forbidden("spec.strategy.rollingUpdate", rule)];
}

function validateSpec(spec: DeploymentSpec): FieldError[] {
  const { template } = spec;
  const errors: FieldError[] = [];
  for (const field of ["replicas", "minReadySeconds", "revisionHistoryLimit"] as const) {
    const value = spec[field] ?? 0;
    if (value < 0)
      errors.push(invalid(`spec.${field}`, value, "must be greater than or equal to 0"));
  }
  errors.push(...validateSelector(spec));
  errors.push(...validateLabels(template.metadata?.labels ?? {}, "spec.template.metadata.labels"));
  if (template.spec === undefined) errors.push(required("spec.template.spec"));
  else {
    errors.push(...validatePodSpec(template.spec, "spec.template.spec"));
    const { restartPolicy } = template.spec;
    if (restartPolicy !== "Always") {
      errors.push(notSupported("spec.template.spec.restartPolicy", restartPolicy, ["Always"]));
    }
  }
  return [...errors, ...validateStrategy(spec)];
}

function validate({ spec }: Deployment, old?: Deployment): FieldError[] {
  if (spec === undefined) return [required("spec.selector"), required("spec.template")];
  const errors = validateSpec(spec);
  if (old?.spec !== undefined && !equalJson(old.spec.selector, spec.selector)) {
    errors.push(invalid("spec.selector", spec.selector, "field is immutable"));
  }
  return errors;
}

function applyDefaults(deployment: Deployment): Deployment {
  const { spec } = deployment;
  if (spec === undefined) return deployment;
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  spec.strategy ??= {};
  spec.strategy.type ||= "RollingUpdate";
  if (spec.strategy.type === "RollingUpdate") {
    const update = (spec.strategy.rollingUpdate ??= {});
    update.maxUnavailable ??= "25%";
    update.maxSurge ??= "25%";
  }
  if (spec.template?.spec) applyPodSpecDefaults(spec.template.spec);
  return deployment;
}

function containersOf({
  spec,
}: Deployment): NonNullable<DeploymentSpec["template"]["spec"]>["containers"] {
  return spec?.template.spec?.containers ?? [];
}

export const deploymentKind: KindDefinition<Deployment> = {
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  singular: "deployment",
  shortNames: ["deploy"],
  categories: ["all"],
  namespaced: true,
  schema: kubernetesSchema("apps.Deployment"),
  hasStatus: true,
  initialStatus: () => ({}),
  subresources: ["scale"],
  columns: [
    nameColumn,
    column("Ready", "How many of the wanted pods are ready.", ({ spec, status }) => {
      return `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`;
    }),
    column("Up-to-date", "How many pods are of the newest template.", ({ status }) =>
      String(status?.updatedReplicas ?? 0),
    ),
    column("Available", "How many pods have been ready long enough.", ({ status }) =>
      String(status?.availableReplicas ?? 0),
    ),
    ageColumn,
    wideColumn("Containers", "Names of the template's containers.", (deployment) =>
      containersOf(deployment)
        .map(({ name }) => name)
        .join(","),
    ),
    wideColumn("Images", "Images of the template's containers.", (deployment) =>
      containersOf(deployment)
        .map(({ image = "" }) => image)
        .join(","),
    ),
    wideColumn("Selector", "Which pods belong to it.", ({ spec }) =>
      formatLabelSelector(spec?.selector),
    ),
  ],
  selectableFields: {},
  applyDefaults,
  validate,
};
