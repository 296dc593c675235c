// CNI specification 1.1.0, section 5, "Error", and for STATUS section 2. Those from 100 on are Isobar's own.

export const cniErrorCodes = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  decodingFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  notAvailableLimited: 51,
  /** The node could not do it: the kernel or the switch refused. */
  nodeFailure: 100,
  /** CHECK found something else than ADD had made. */
  checkFailed: 101,
} as const;

export type CniErrorCode = keyof typeof cniErrorCodes;

/** What a runtime is told. The message is what most runtimes show; details are for whoever looks closer. */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly code: CniErrorCode;
  readonly details: string;

  constructor(code: CniErrorCode, message: string, details = "") {
    super(message);
    this.code = code;
    this.details = details;
  }
}
