/** Where a probe goes. */
export interface ProbeTarget {
  /** Path of the network namespace to connect from. */
  readonly netns: string;
  /** An IPv4 or IPv6 address. */
  readonly to: string;
  readonly port: number;
  /** One of the namespace's addresses, where it has several. */
  readonly from?: string;
}

/** What one attempt of a probe came to know. `code` is an error's name, e.g. `ECONNREFUSED`. */
export type AttemptResult =
  | { readonly kind: "answered"; readonly by: string | undefined }
  | { readonly kind: "failed"; readonly code: string };

/** One attempt, which goes on until it knows something or is closed. */
export interface Attempt {
  /** Settles once, or never: not while packets are dropped, and not after `close`. */
  readonly result: Promise<AttemptResult>;
  /** What can be said when time is over. */
  atTimeout(): AttemptResult | undefined;
  close(): void;
}

/** The name in a listener's answer; `undefined` for an answer of another kind. */
export function identityIn(answer: string): string | undefined {
  return /^(\S{1,512})\n$/.exec(answer)?.[1];
}

/** The code of a Node or system call error. */
export function failure(error: unknown): AttemptResult {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  return { kind: "failed", code };
}
