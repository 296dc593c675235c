import { Socket } from "node:net";
import {
  type Attempt,
  type AttemptResult,
  type ProbeTarget,
  failure,
  identityIn,
} from "./attempt.ts";
import { connectTcp } from "./native.ts";

/** Longer answers are some other server's. */
const maxAnswerLength = 1024;

/** Connects and reads what the server says first. @throws {LabError} when not even an attempt can be made. */
export function attemptTcp({ netns, to, port, from }: ProbeTarget): Attempt {
  const { promise, resolve } = Promise.withResolvers<AttemptResult>();
  const socket = new Socket({ fd: connectTcp(netns, to, port, from) });
  let answer = "";
  const answered = (): AttemptResult => ({ kind: "answered", by: identityIn(answer) });
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    answer += text;
    if (answer.includes("\n") || answer.length > maxAnswerLength) resolve(answered());
  });
  socket.on("end", () => resolve(answered()));
  socket.on("error", (error) => resolve(failure(error)));
  return {
    result: promise,
    // Connected to a server that waits for the client to speak: only a connection has a remote address.
    atTimeout: () => (socket.remoteAddress === undefined ? undefined : answered()),
    close: () => socket.destroy(),
  };
}
