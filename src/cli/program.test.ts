import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Command, CommanderError } from "commander";
import { createProgram } from "./program.ts";

/** The command and all below it, each with its full name. */
function* commands(command: Command, prefix = ""): Generator<[string, Command]> {
  const name = `${prefix}${command.name()}`;
  yield [name, command];
  for (const below of command.commands) yield* commands(below, `${name} `);
}

/** What a command line that does nothing comes to. */
async function parse(...args: readonly string[]): Promise<{ code: string; text: string }> {
  const program = createProgram();
  let text = "";
  for (const [, command] of commands(program)) {
    command.exitOverride();
    command.configureOutput({
      writeOut: (part) => (text += part),
      writeErr: (part) => (text += part),
    });
  }
  try {
    await program.parseAsync(["node", "isobar", ...args]);
  } catch (error) {
    if (error instanceof CommanderError) return { code: error.code, text };
    throw error;
  }
  throw new Error(`${args.join(" ")} was carried out`);
}

describe("the command line", () => {
  for (const [name] of commands(createProgram())) {
    test(`${name} --help says what it does and how it is called`, async () => {
      const [, ...path] = name.split(" ");
      const { code, text } = await parse(...path, "--help");
      assert.equal(code, "commander.helpDisplayed");
      assert.ok(text.startsWith(`Usage: ${name} `), text);
      const [, , description = ""] = text.split("\n");
      assert.match(description, /^\S.{20,}/);
    });
  }

  const mistakes: readonly (readonly [string, RegExp])[] = [
    ["bring-up", /unknown command 'bring-up'/],
    ["lab status --all", /unknown option '--all'/],
    ["lab status -o xml", /Allowed choices are table, json, yaml/],
    ["lab up --nodes 0", /expected a number from 1 to 99/],
    ["lab probe --family 5", /expected 4 or 6/],
    ["lab exec shop/web", /missing required argument 'command'/],
    ["explain shop/web shop/db", /missing required argument 'port'/],
  ];
  for (const [line, expected] of mistakes) {
    test(`"${line}" is refused with what was expected`, async () => {
      assert.match((await parse(...line.split(" "))).text, expected);
    });
  }
});
