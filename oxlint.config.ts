import { type OxlintOverride, defineConfig } from "oxlint";

/** What each pure folder of src/ may import, lowest first. The architecture is this table; STYLE.md says why. */
const pureFolders: Record<string, readonly string[]> = {
  net: [],
  wire: [],
  openflow: ["net", "wire"],
  ovsdb: ["wire"],
  netlink: ["net", "wire"],
  apimachinery: ["net"],
  kinds: ["net", "apimachinery"],
  model: ["net"],
  dns: ["net", "model"],
  kubernetes: ["net", "apimachinery", "kinds", "model"],
  ipam: ["net"],
  policy: ["net", "model"],
  southbound: ["net", "wire", "model"],
  compute: ["net", "model", "policy", "southbound"],
  pipeline: ["net", "openflow", "model", "southbound"],
  cni: ["net"],
};
const pure = Object.keys(pureFolders);

/** Folders with effects that others build on: one outside thing each. */
const driverFolders: Record<string, readonly string[]> = {
  runtime: ["wire"],
  store: ["runtime"],
  kernel: ["wire", "netlink"],
  switch: ["net", "wire", "openflow", "ovsdb", "runtime"],
  client: ["net", "apimachinery", "kinds", "runtime"],
};

/** The parts that run. They never import one another: main joins them. */
const serviceFolders: Record<string, readonly string[]> = {
  apiserver: [...pure, "runtime", "store"],
  controller: [...pure, "runtime", "client"],
  agent: [...pure, "runtime", "kernel", "switch"],
  lab: [...pure, "runtime", "kernel", "client", "switch"],
  cli: [...pure, "runtime", "client", "lab"],
};

const mayImport: Record<string, readonly string[]> = {
  ...pureFolders,
  ...driverFolders,
  ...serviceFolders,
  main: [...pure, ...Object.keys(driverFolders), ...Object.keys(serviceFolders)],
};

function folderRule(folder: string, allowed: readonly string[]): OxlintOverride {
  const others = Object.keys(mayImport).filter(
    (other) => other !== folder && !allowed.includes(other),
  );
  const patterns = [
    {
      group: others.map((other) => `**/${other}/**`),
      message: `${folder} may import only: ${allowed.join(", ") || "nothing"}`,
    },
  ];
  const files = [`src/${folder}/**/*.ts`];
  const excludeFiles = ["**/*.test.ts"];
  if (!pure.includes(folder)) {
    // main may import every folder: an empty group is not a pattern.
    return {
      files,
      excludeFiles,
      rules: others.length > 0 ? { "no-restricted-imports": ["error", { patterns }] } : {},
    };
  }
  return {
    files,
    excludeFiles,
    rules: {
      "no-restricted-imports": [
        "error",
        { patterns: [...patterns, { group: ["node:*"], message: `${folder} is pure: no node:*` }] },
      ],
      "no-restricted-globals": [
        "error",
        "process",
        "setTimeout",
        "setInterval",
        "setImmediate",
        "fetch",
        "console",
        "performance",
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now" },
        { object: "Math", property: "random" },
      ],
    },
  };
}

export default defineConfig({
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "promise", "node"],
  categories: { correctness: "error", suspicious: "error" },
  options: { typeAware: true },
  rules: {
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": "error",
    "typescript/switch-exhaustiveness-check": "error",
    "typescript/no-explicit-any": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/explicit-module-boundary-types": "error",
    "import/no-cycle": ["error", { ignoreTypes: false }],
    "import/no-default-export": "error",
    "import/no-unassigned-import": ["error", { allow: ["reflect-metadata"] }],
    "unicorn/filename-case": ["error", { case: "kebabCase" }],
    // tsc's noImplicitReturns checks the same and knows when a switch is exhaustive.
    "typescript/consistent-return": "off",
    // fast-check is used as `fc.property(…)`, as its documentation does.
    "import/no-named-as-default-member": "off",
    // A thread has no origin.
    "unicorn/require-post-message-target-origin": "off",
    eqeqeq: "error",
    "no-console": "error",
    "max-params": ["error", { max: 4 }],
    "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
    "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
  },
  overrides: [
    ...Object.entries(mayImport).map(([folder, allowed]) => folderRule(folder, allowed)),
    { files: ["*.config.ts"], rules: { "import/no-default-export": "off" } },
    {
      files: ["**/*.test.ts", "test/**/*.ts", "bench/**/*.ts"],
      rules: {
        "max-lines": "off",
        "max-lines-per-function": "off",
        // What a test needs stands beside it.
        "unicorn/consistent-function-scoping": "off",
        "typescript/no-floating-promises": [
          "error",
          {
            allowForKnownSafeCalls: [
              {
                from: "package",
                name: ["test", "describe", "it", "before", "after"],
                package: "node:test",
              },
            ],
          },
        ],
      },
    },
    {
      files: ["bench/**/*.ts", "tools/**/*.ts", "src/cli/**/*.ts"],
      rules: { "no-console": "off" },
    },
  ],
});
