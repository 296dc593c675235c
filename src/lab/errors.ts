/** The lab cannot do what was asked; the message says what to do about it. */
export class LabError extends Error {
  override readonly name = "LabError";
}
