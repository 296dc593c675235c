import { createProgram } from "../cli/program.ts";

try {
  await createProgram().parseAsync();
} catch (error) {
  // What went wrong is said in a sentence; the stack helps only who works on Isobar.
  const message = error instanceof Error ? error.message : String(error);
  const detail = process.env["ISOBAR_DEBUG"] && error instanceof Error ? `\n${error.stack}` : "";
  process.stderr.write(`isobar: ${message}${detail}\n`);
  process.exitCode ??= 1;
}
