// Open vSwitch confirms flows before its datapath goes by them: what the datapath remembers of earlier packets is renewed
// afterwards, in rounds of its revalidator threads (ofproto/ofproto-dpif-upcall.c). Here one waits for that.
import { setTimeout as sleep } from "node:timers/promises";
import { PeerError } from "../../switch/errors.ts";
import { UnixctlConnection } from "../../switch/unixctl.ts";

/** A round takes milliseconds, and seconds with hundreds of thousands of remembered flows on a busy node. */
const roundTimeoutMs = 60_000;

/** Longest time from one round to the next, by default: `other_config:max-revalidator`. */
const longestIntervalMs = 500;

/**
 * What can be said of the ends of rounds that are waited for one after the other:
 *
 *   1. The daemon answers a wait in a turn of its main loop after the one that took the wait in, so it has meanwhile
 *      noticed that the flows are others, which it does once in each turn.
 *   2. The round that ends now may have begun before that.
 *   3. The round that ends now began after the one before had ended: it renews everything by the new flows.
 */
const rounds = 3;

export interface RevalidationOptions {
  /** Path of ovs-vswitchd's control socket. */
  readonly control: () => string;
  /** Changes the flows of the switch without effect, which makes it begin a round at once. */
  readonly nudge: () => Promise<void>;
}

/** The time in which every round that was under way at its beginning ends, and another one after it. */
export const twoRoundsMs = 2 * longestIntervalMs + 100;

/**
 * Settles when the datapath forwards by the flows that were in force when it was called, or by newer ones. What a handler
 * thread has looked up before and not yet passed on is not waited for: that is over within `twoRoundsMs`.
 * @throws {UnavailableError} when the switch does not answer
 */
export async function revalidated({ control, nudge }: RevalidationOptions): Promise<void> {
  using connection = await UnixctlConnection.open(control());
  try {
    for (let round = 0; round < rounds; round++) {
      // The wait goes out first: the nudge's round would otherwise be over before anybody waits for its end.
      const ended = connection.run("revalidator/wait", [], roundTimeoutMs);
      await Promise.all([ended, nudge()]);
    }
  } catch (error) {
    // The command is refused where the daemon has datapaths of two types.
    if (!(error instanceof PeerError && error.protocol === "unixctl")) throw error;
    await sleep(twoRoundsMs);
  }
}
