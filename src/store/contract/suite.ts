// What every store must do, whatever keeps its state. Each implementation's test runs it.
import type { Contract } from "./helpers.ts";
import { closing, ranges, transactions } from "./keys.ts";
import { compaction, leases, watches } from "./watches.ts";

export const storeContract: Contract = {
  ...transactions,
  ...ranges,
  ...watches,
  ...compaction,
  ...leases,
  ...closing,
};
