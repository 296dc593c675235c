// Multipart requests and replies: OpenFlow Switch Specification 1.5.1, section 7.3.5.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { BodyCodec } from "./codec.ts";
import {
  type FlowEntry,
  type FlowFilter,
  decodeFlowEntry,
  decodeFlowFilter,
  encodeFlowEntry,
  encodeFlowFilter,
} from "./flow-entry.ts";
import {
  type Group,
  type GroupStatistics,
  allGroups,
  decodeGroup,
  decodeGroupStatistics,
  encodeGroup,
  encodeGroupStatistics,
} from "./group.ts";
import {
  type Meter,
  type MeterStatistics,
  allMeters,
  decodeMeter,
  decodeMeterStatistics,
  encodeMeter,
  encodeMeterStatistics,
} from "./meter.ts";
import { type FlowStatistics, decodeOxs, encodeOxs } from "./oxs.ts";
import {
  type Port,
  type PortStatistics,
  decodePort,
  decodePortStatistics,
  encodePort,
  encodePortStatistics,
} from "./port.ts";
import { reservedPorts } from "./port-number.ts";
import {
  type SwitchDescription,
  type TableStatistics,
  decodeDescription,
  decodeTableStatistics,
  encodeDescription,
  encodeTableStatistics,
} from "./switch-statistics.ts";

/** Per part: what a request says and what a reply's items are. */
interface Parts {
  description: { request: undefined; item: SwitchDescription };
  flows: { request: FlowFilter; item: FlowEntry };
  aggregate: { request: FlowFilter; item: FlowStatistics };
  tables: { request: undefined; item: TableStatistics };
  /** The number of one port, group or meter, all when absent. */
  "port-statistics": { request: number | undefined; item: PortStatistics };
  "group-statistics": { request: number | undefined; item: GroupStatistics };
  groups: { request: number | undefined; item: Group };
  "meter-statistics": { request: number | undefined; item: MeterStatistics };
  meters: { request: number | undefined; item: Meter };
  ports: { request: number | undefined; item: Port };
}

export type Part = keyof Parts;
type PartRequest<P extends Part> = Parts[P]["request"];
export type PartItem<P extends Part> = Parts[P]["item"];

export type MultipartRequest<P extends Part = Part> = {
  [K in P]: {
    readonly kind: "multipart-request";
    readonly part: K;
    readonly request: PartRequest<K>;
  };
}[P];

/** One message of a reply; the last has `more` false. */
export type MultipartReply<P extends Part = Part> = {
  [K in P]: {
    readonly kind: "multipart-reply";
    readonly part: K;
    readonly more: boolean;
    readonly items: readonly PartItem<K>[];
  };
}[P];

interface PartCodec<P extends Part> {
  readonly type: number;
  encodeRequest(writer: Writer, request: PartRequest<P>): void;
  decodeRequest(reader: Reader): PartRequest<P>;
  encodeItem(writer: Writer, item: PartItem<P>): void;
  decodeItem(reader: Reader): PartItem<P>;
}

const noRequest = { encodeRequest() {}, decodeRequest: () => undefined };

const flowRequest = { encodeRequest: encodeFlowFilter, decodeRequest: decodeFlowFilter };

/** A number and padding; `all` stands for every port, group or meter. */
function numberRequest(all: number): {
  encodeRequest(writer: Writer, request: number | undefined): void;
  decodeRequest(reader: Reader): number | undefined;
} {
  return {
    encodeRequest(writer, request) {
      writer.u32(request ?? all);
      writer.zeros(4);
    },
    decodeRequest(reader) {
      const number = reader.u32();
      reader.skip(4);
      return number === all ? undefined : number;
    },
  };
}

const parts: { readonly [P in Part]: PartCodec<P> } = {
  description: {
    type: 0,
    ...noRequest,
    encodeItem: encodeDescription,
    decodeItem: decodeDescription,
  },
  // OFPMP_FLOW_DESC.
  flows: { type: 1, ...flowRequest, encodeItem: encodeFlowEntry, decodeItem: decodeFlowEntry },
  aggregate: { type: 2, ...flowRequest, encodeItem: encodeOxs, decodeItem: decodeOxs },
  tables: {
    type: 3,
    ...noRequest,
    encodeItem: encodeTableStatistics,
    decodeItem: decodeTableStatistics,
  },
  "port-statistics": {
    type: 4,
    ...numberRequest(reservedPorts.any),
    encodeItem: encodePortStatistics,
    decodeItem: decodePortStatistics,
  },
  "group-statistics": {
    type: 6,
    ...numberRequest(allGroups),
    encodeItem: encodeGroupStatistics,
    decodeItem: decodeGroupStatistics,
  },
  groups: {
    type: 7,
    ...numberRequest(allGroups),
    encodeItem: encodeGroup,
    decodeItem: decodeGroup,
  },
  "meter-statistics": {
    type: 9,
    ...numberRequest(allMeters),
    encodeItem: encodeMeterStatistics,
    decodeItem: decodeMeterStatistics,
  },
  meters: {
    type: 10,
    ...numberRequest(allMeters),
    encodeItem: encodeMeter,
    decodeItem: decodeMeter,
  },
  ports: {
    type: 13,
    ...numberRequest(reservedPorts.any),
    encodeItem: encodePort,
    decodeItem: decodePort,
  },
};

const partNames = Object.keys(parts).filter((name): name is Part => Object.hasOwn(parts, name));
const moreFlag = 1;

const partByType = new Map(partNames.map((part) => [parts[part].type, part]));

function decodePart(reader: Reader): Part {
  const type = reader.u16();
  const part = partByType.get(type);
  if (part === undefined) throw reader.error(`expected a known part, got ${type}`, "unsupported");
  return part;
}

function encodeRequest<P extends Part>(writer: Writer, message: MultipartRequest<P>): void {
  const codec = parts[message.part];
  writer.u16(codec.type);
  writer.zeros(6);
  codec.encodeRequest(writer, message.request);
}

function decodeRequest<P extends Part>(reader: Reader, part: P): MultipartRequest<P> {
  reader.skip(6);
  return { kind: "multipart-request", part, request: parts[part].decodeRequest(reader) };
}

function encodeReply<P extends Part>(writer: Writer, message: MultipartReply<P>): void {
  const codec = parts[message.part];
  writer.u16(codec.type);
  writer.u16(message.more ? moreFlag : 0);
  writer.zeros(4);
  for (const item of message.items) codec.encodeItem(writer, item);
}

function decodeReply<P extends Part>(reader: Reader, part: P): MultipartReply<P> {
  const more = (reader.u16() & moreFlag) !== 0;
  reader.skip(4);
  const items: PartItem<P>[] = [];
  while (reader.remaining > 0) items.push(parts[part].decodeItem(reader));
  return { kind: "multipart-reply", part, more, items };
}

export const multipartRequestCodec: BodyCodec<MultipartRequest> = {
  type: 18,
  encode: encodeRequest,
  decode: (reader) => decodeRequest(reader, decodePart(reader)),
};

export const multipartReplyCodec: BodyCodec<MultipartReply> = {
  type: 19,
  encode: encodeReply,
  decode: (reader) => decodeReply(reader, decodePart(reader)),
};
