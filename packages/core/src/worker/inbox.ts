import { WINDOW_BYTES, WINDOW_MESSAGES } from "./stream-window.ts";

/** Messages of one stream that have arrived and not been read: no more than the window lets through. */
export interface Inbox {
  /** @throws {RangeError} for a message that there was no room for. {TypeError} for one after the end. */
  push(bytes: Uint8Array): void;
  /** No more will come. With a reason, whoever reads to the end gets that. */
  end(reason?: Error): void;
  readonly ended: boolean;
  /** The next message; undefined: that was the last one. One read at a time. */
  pull(): Promise<Uint8Array | undefined>;
  /** Forgets what is there and what comes, and lets a read that waits find the end: nobody reads on. */
  clear(): void;
}

/** Tells the sender what has been taken, not for each message but when half of the window is free. */
export function createInbox(tellTaken: (messages: number, bytes: number) => void): Inbox {
  let held: Uint8Array[] = [];
  let heldFrom = 0;
  let ended = false;
  let left = false;
  let failure: Error | undefined;
  /** Arrived, and the sender does not know yet that they are taken. */
  let openMessages = 0;
  let openBytes = 0;
  let takenMessages = 0;
  let takenBytes = 0;
  let waiting: PromiseWithResolvers<Uint8Array | undefined> | undefined;

  const took = (bytes: number): void => {
    if (ended) return; // the sender is through
    takenMessages++;
    takenBytes += bytes;
    if (takenMessages < WINDOW_MESSAGES / 2 && takenBytes < WINDOW_BYTES / 2) return;
    openMessages -= takenMessages;
    openBytes -= takenBytes;
    tellTaken(takenMessages, takenBytes);
    takenMessages = 0;
    takenBytes = 0;
  };
  const end = (reason?: Error): void => {
    if (ended) return;
    ended = true;
    failure = reason;
    if (waiting === undefined) return;
    if (reason === undefined) waiting.resolve(undefined);
    else waiting.reject(reason);
    waiting = undefined;
  };

  return {
    push(bytes) {
      if (left) return;
      if (ended) throw new TypeError("a message after the last one");
      if (openMessages >= WINDOW_MESSAGES || openBytes >= WINDOW_BYTES) {
        throw new RangeError("a message that there was no room for");
      }
      openMessages++;
      openBytes += bytes.byteLength;
      if (waiting === undefined) {
        held.push(bytes);
        return;
      }
      waiting.resolve(bytes);
      waiting = undefined;
      took(bytes.byteLength);
    },
    end,
    get ended() {
      return ended;
    },
    pull() {
      const next = held[heldFrom];
      if (next !== undefined) {
        heldFrom++;
        if (heldFrom === held.length) {
          held = [];
          heldFrom = 0;
        }
        took(next.byteLength);
        return Promise.resolve(next);
      }
      if (failure !== undefined) return Promise.reject(failure);
      if (ended) return Promise.resolve(undefined);
      waiting = Promise.withResolvers();
      return waiting.promise;
    },
    clear() {
      left = true;
      held = [];
      heldFrom = 0;
      failure = undefined;
      end();
    },
  };
}
