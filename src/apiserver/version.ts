/** What `kubectl version` shows: the Kubernetes release whose API this is, and that it is not Kubernetes. */
export const version = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0+isobar",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "node",
  platform: `${process.platform}/${process.arch}`,
};
