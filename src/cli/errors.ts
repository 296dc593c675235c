/** The command cannot be carried out as given; the message says what was expected. */
export class CliError extends Error {
  override readonly name = "CliError";
}
