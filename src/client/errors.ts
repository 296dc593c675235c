/** The kubeconfig is missing, malformed, or asks for something that is not supported. */
export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

/** No answer, or none from an API server: try again later. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
}

/** A manifest that cannot be read, or one of a kind that is not known. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}
