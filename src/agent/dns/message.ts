// What a DNS message asks or says about addresses: RFC 1035 section 4, RFC 3596 for IPv6.
import { type Answer, type DecodedPacket, decode } from "dns-packet";
import { canonicalDomainName } from "../../model/domain-name.ts";
import { formatAddress, tryParseAddress } from "../../net/address.ts";

/** A question as it is asked and as its answer repeats it. */
export interface DnsQuestion {
  readonly id: number;
  readonly type: string;
  /** Canonical. */
  readonly name: string;
}

export interface DnsAddress {
  /** In canonical text form. */
  readonly address: string;
  /** The least of the records that lead to it. */
  readonly ttlSeconds: number;
}

/** Names that lead to names; a resolver that is right needs no more. */
const longestChain = 16;

function tryDecode(message: Uint8Array): DecodedPacket | undefined {
  try {
    return decode(Buffer.from(message));
  } catch {
    // The library throws whatever it trips over; what cannot be read says nothing.
    return undefined;
  }
}

/** RFC 1035 section 4.1.1: 0 is an ordinary query, and no error. */
function codesOf({ flags = 0 }: DecodedPacket): { opcode: number; rcode: number } {
  return { opcode: (flags >> 11) & 0xf, rcode: flags & 0xf };
}

function questionOf({ id = 0, questions = [] }: DecodedPacket): DnsQuestion | undefined {
  const [question, ...more] = questions;
  if (question === undefined || more.length > 0 || (question.class ?? "IN") !== "IN") {
    return undefined;
  }
  const name = canonicalDomainName(question.name);
  return name === undefined ? undefined : { id, type: question.type, name };
}

/** The question of a query; `undefined` for every other message. */
export function decodeDnsQuery(message: Uint8Array): DnsQuestion | undefined {
  const packet = tryDecode(message);
  return packet?.type === "query" && codesOf(packet).opcode === 0 ? questionOf(packet) : undefined;
}

function targetOf(answers: readonly Answer[], owner: string): DnsTarget | undefined {
  for (const answer of answers) {
    if (answer.type !== "CNAME" || canonicalDomainName(answer.name) !== owner) continue;
    const name = canonicalDomainName(answer.data);
    if (name !== undefined) return { name, ttlSeconds: answer.ttl ?? 0 };
  }
  return undefined;
}

interface DnsTarget {
  readonly name: string;
  readonly ttlSeconds: number;
}

/** The addresses that the question's name leads to, within this one answer. */
function addressesFor(name: string, answers: readonly Answer[]): readonly DnsAddress[] {
  let end: DnsTarget = { name, ttlSeconds: Number.POSITIVE_INFINITY };
  for (let step = 0; step < longestChain; step++) {
    const target = targetOf(answers, end.name);
    if (target === undefined) break;
    end = { name: target.name, ttlSeconds: Math.min(end.ttlSeconds, target.ttlSeconds) };
  }
  return answers.flatMap((answer) => {
    if (answer.type !== "A" && answer.type !== "AAAA") return [];
    if ((answer.class ?? "IN") !== "IN" || canonicalDomainName(answer.name) !== end.name) return [];
    const address = tryParseAddress(answer.data);
    if (address === undefined) return [];
    const ttlSeconds = Math.min(end.ttlSeconds, answer.ttl ?? 0);
    return [{ address: formatAddress(address), ttlSeconds }];
  });
}

/** What a response without error says; `undefined` for every other message. */
export function decodeDnsAnswer(
  message: Uint8Array,
): { readonly question: DnsQuestion; readonly addresses: readonly DnsAddress[] } | undefined {
  const packet = tryDecode(message);
  if (packet?.type !== "response") return undefined;
  const { opcode, rcode } = codesOf(packet);
  if (opcode !== 0 || rcode !== 0) return undefined;
  const question = questionOf(packet);
  return question && { question, addresses: addressesFor(question.name, packet.answers ?? []) };
}
