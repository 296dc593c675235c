// What `kubectl explain` says of built-in types and fields; by type (`core.Pod`) or field (`core.PodSpec.containers`).

export const descriptions: Readonly<Record<string, string>> = {
  "core.Pod": "A pod: containers that share one network namespace and so one address.",
};
