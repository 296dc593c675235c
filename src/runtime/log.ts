// Structured logs: one JSON object a line on standard error, so that standard output stays a command's result.
import { type DestinationStream, type Logger, destination, pino, stdTimeFunctions } from "pino";

export type Log = Logger;

export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  /** The process, e.g. `agent`; every line carries it. */
  readonly name: string;
  readonly level?: LogLevel;
  /** Where lines go; standard error when absent. */
  readonly stream?: DestinationStream;
}

/** Lines are written before the call returns: the last one before a crash is the one that matters. */
export function createLog({ name, level = "info", stream }: LogOptions): Log {
  const options = { name, level, base: { name }, timestamp: stdTimeFunctions.isoTime };
  return pino(options, stream ?? destination({ fd: 2, sync: true }));
}
