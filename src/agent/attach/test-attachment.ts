// What the tests of attachments' ports are about: a record, and the port that is made of it.
import type { BridgePort } from "../../switch/bridge-ports.ts";
import type { StoredAttachment } from "../state-file.ts";
import { attachmentPortConfig } from "./switch-ports.ts";

export function attachment(fields: Partial<StoredAttachment>): StoredAttachment {
  return {
    port: "iso0",
    endpoint: "shop/web",
    container: "c",
    interface: "eth0",
    netns: "/run/netns/x",
    ofportRequest: 16,
    attachedMs: 5,
    ...fields,
  };
}

export function portOf(record: StoredAttachment): BridgePort {
  const { name, externalIds = {} } = attachmentPortConfig(record);
  const ofport = record.ofportRequest;
  return { name, type: "", ofport, error: undefined, externalIds, options: {} };
}
