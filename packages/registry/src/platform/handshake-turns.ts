import { createProbeTurns, type ProbeTurns } from "../health/probe-turns.ts";

/**
 * Lets one program at a time be between its launch and its handshake, of those that shake hands under the same name: only
 * that tells whose a handshake is. Such as a plugin that starts again while the next one is to replace it.
 */
export interface HandshakeTurns {
  /** Resolves with how to end one's turn, as `ProbeTurns`. @throws the reason of the signal, when that aborts first. */
  take(selfId: string, signal: AbortSignal): Promise<() => void>;
}

export function createHandshakeTurns(): HandshakeTurns {
  const lines = new Map<string, { readonly turns: ProbeTurns; takers: number }>();
  return {
    async take(selfId, signal) {
      const line = lines.get(selfId) ?? { turns: createProbeTurns(1), takers: 0 };
      lines.set(selfId, line);
      line.takers++;
      const leave = (): void => {
        line.takers--;
        if (line.takers === 0) lines.delete(selfId);
      };
      let end: () => void;
      try {
        end = await line.turns.take(signal);
      } catch (reason) {
        leave();
        throw reason;
      }
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        end();
        leave();
      };
    },
  };
}
