/** Of a service type: how many providers it has, and how many of them are kept from calls for one cause. */
export interface TypeShare {
  readonly providers: number;
  readonly sidelined: number;
}

export interface MassRules {
  /** Protection begins with so many providers of a type. */
  readonly minProviders: number;
  /** Largest share of a type's providers that is hidden for time-outs. */
  readonly maxShare: number;
}

/**
 * Whether one provider more of a type may be hidden for time-outs. When most of many time out at once, the network or
 * this host is the likelier cause, as Eureka has it with its self-preservation,
 * https://github.com/Netflix/eureka/wiki/Understanding-Eureka-Peer-to-Peer-Communication.
 */
export function mayHide({ providers, sidelined }: TypeShare, { minProviders, maxShare }: MassRules): boolean {
  return providers < minProviders || sidelined + 1 <= maxShare * providers;
}

/** How many providers of a type may be ejected at a time: the share, but one if there is another one. */
export function ejectionRoom(providers: number, maxShare: number): number {
  return providers < 2 ? 0 : Math.max(1, Math.floor(maxShare * providers));
}
