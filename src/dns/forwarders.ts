// Who answers what the node does not know itself.

export interface ServerAddress {
  readonly address: string;
  readonly port: number;
}

export interface Forwarder {
  /** In lower case, without the last dot. */
  readonly zone: string;
  readonly servers: readonly ServerAddress[];
}

/** The servers for a name: those of the longest zone that it is in, or else `otherwise`. */
export function serversFor(
  name: string,
  forwarders: readonly Forwarder[],
  otherwise: readonly ServerAddress[],
): readonly ServerAddress[] {
  const within = forwarders.filter(({ zone }) => name === zone || name.endsWith(`.${zone}`));
  const [longest] = within.toSorted((a, b) => b.zone.length - a.zone.length);
  return longest?.servers ?? otherwise;
}
