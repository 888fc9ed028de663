/** Calls of this host that providers have not answered yet. Holds providers with calls only. */
export interface InFlight {
  of(providerId: string): number;
  /** Counts a call; the function returned ends it, once. */
  begin(providerId: string): () => void;
}

export function createInFlight(): InFlight {
  const counts = new Map<string, number>();
  const of = (providerId: string): number => counts.get(providerId) ?? 0;
  return {
    of,
    begin(providerId) {
      counts.set(providerId, of(providerId) + 1);
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        const left = of(providerId) - 1;
        if (left === 0) counts.delete(providerId);
        else counts.set(providerId, left);
      };
    },
  };
}
