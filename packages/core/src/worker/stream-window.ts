/** How far the sender of a stream may be ahead of its reader. It may exceed the bytes by a part of one message. */
export const WINDOW_MESSAGES = 64;
export const WINDOW_BYTES = 256 * 1024;

/** The sender's side of one stream. */
export interface SendWindow {
  /** Undefined: there is room now. Otherwise resolves when there is, or when the window is released. */
  room(): Promise<void> | undefined;
  /** A message is on its way. */
  sent(bytes: number): void;
  /**
   * The reader has taken messages.
   * @throws {RangeError} for more than have been sent.
   */
  taken(messages: number, bytes: number): void;
  /** Lets whoever waits for room go on: the call has ended, or what is left has to go out. */
  release(): void;
}

export function createSendWindow(): SendWindow {
  let messages = 0;
  let bytes = 0;
  let released = false;
  let waiting: PromiseWithResolvers<void> | undefined;
  const isFull = () => messages >= WINDOW_MESSAGES || bytes >= WINDOW_BYTES;
  const wake = (): void => {
    waiting?.resolve();
    waiting = undefined;
  };
  return {
    room() {
      if (released || !isFull()) return undefined;
      waiting ??= Promise.withResolvers();
      return waiting.promise;
    },
    sent(size) {
      messages++;
      bytes += size;
    },
    taken(takenMessages, takenBytes) {
      if (takenMessages > messages || takenBytes > bytes) {
        throw new RangeError("more messages have been taken than were sent");
      }
      messages -= takenMessages;
      bytes -= takenBytes;
      if (!isFull()) wake();
    },
    release() {
      released = true;
      wake();
    },
  };
}
