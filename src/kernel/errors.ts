/** The kernel refused something; `code` is the error's name as Node has it, empty where there is none. */
export class KernelError extends Error {
  override readonly name = "KernelError";
  readonly code: string;

  constructor(message: string, code: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
