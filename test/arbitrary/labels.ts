/** What random pods are labelled with, and what random selectors ask for: values by key. */
export const podLabelValues = { app: ["web", "api", "db"], tier: ["front", "back"], extra: [""] };

/** The same for nodes. */
export const nodeLabelValues = { role: ["edge", "work"] };

/** The same for namespaces. */
export const namespaceLabelValues = { team: ["red", "blue"], env: ["prod", "dev"] };
