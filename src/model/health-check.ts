/** HTTP status codes, both included. */
interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** Whether a member of a load balancer answers, looked after by nodes. */
export interface HealthCheck {
  /** Unique, e.g. `shop/db 203.0.113.7 5432`. */
  readonly id: string;
  /** Names of the nodes that look. */
  readonly checkers: readonly string[];
  readonly address: string;
  readonly port: number;
  readonly protocol: "TCP" | "HTTP";
  /** For HTTP. */
  readonly path?: string;
  readonly host?: string;
  readonly statuses?: readonly StatusRange[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** So many good answers in a row make it healthy, and so many bad ones unhealthy. */
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
}

/** What a node has found out. */
export interface HealthVerdict {
  /** The check's id. */
  readonly check: string;
  readonly healthy: boolean;
  /** Why not, for people; what was answered. */
  readonly message: string;
}
