import type { MessagePort } from "node:worker_threads";
import { createFrameBatch, type Frame, type FrameBatch, readBatch } from "./frame.ts";

export type FrameSender = Omit<FrameBatch, "take" | "bytes">;

/** One side of a port between a host and a plugin in one of its threads. */
export interface PortLink {
  /** Frames go out together, when the microtasks of the moment are over. After the end they go nowhere. */
  readonly send: FrameSender;
  /** Bytes that the other side has not read yet. */
  readonly unreadBytes: number;
  /** Posts what waits, and closes the port on both sides. */
  close(): void;
}

export interface PortLinkOptions {
  /** What it throws is the fault of the other side, and ends the link. */
  onFrame(frame: Exclude<Frame, { kind: "seen" }>): void;
  /** Called once, when either side has closed. `reason`: the other side broke the protocol. */
  onEnd(reason: Error | undefined): void;
}

/** A batch does not wait for the end of the microtasks when it has so many bytes. */
const batchBytes = 64 * 1024;
/** How much is read before the other side is told. */
const tellSeenBytes = 256 * 1024;

export function createPortLink(port: MessagePort, { onFrame, onEnd }: PortLinkOptions): PortLink {
  let ended = false;
  let gathering = false;
  let unreadBytes = 0;
  let seenBytes = 0;

  const flush = (): void => {
    gathering = false;
    if (batch.bytes === 0) return;
    const { data, transfer } = batch.take();
    if (ended) return;
    unreadBytes += sizeOf(data);
    port.postMessage(data, transfer);
  };
  const gather = (): void => {
    if (gathering) return;
    gathering = true;
    // A tick that is asked for in a microtask comes when all of them are done: with the frames of all calls of the moment.
    queueMicrotask(() => process.nextTick(flush));
  };
  const batch = createFrameBatch(gather);
  const flushLarge = (): void => {
    if (batch.bytes >= batchBytes) flush();
  };

  const end = (reason: Error | undefined): void => {
    if (ended) return;
    flush();
    ended = true;
    port.close();
    onEnd(reason);
  };
  const take = (frame: Frame): void => {
    if (frame.kind !== "seen") {
      onFrame(frame);
      return;
    }
    if (frame.bytes > unreadBytes) throw new RangeError("more bytes have been read than were sent");
    unreadBytes -= frame.bytes;
  };
  port.on("message", (data: unknown) => {
    if (ended) return;
    try {
      for (const frame of readBatch(data)) {
        take(frame);
        if (ended) return;
      }
      seenBytes += sizeOf(data);
    } catch (reason) {
      end(reason instanceof Error ? reason : new Error(String(reason)));
    }
    if (seenBytes < tellSeenBytes) return;
    batch.seen(seenBytes);
    seenBytes = 0;
  });
  port.on("messageerror", (reason) => end(reason));
  // Comes after the last message, also when the thread of the other side has ended meanwhile.
  port.on("close", () => end(undefined));

  return {
    send: {
      ...batch,
      message(id, bytes) {
        batch.message(id, bytes);
        flushLarge();
      },
    },
    get unreadBytes() {
      return unreadBytes;
    },
    close: () => end(undefined),
  };
}

function sizeOf(data: unknown): number {
  if (data instanceof Uint8Array) return data.byteLength;
  return Array.isArray(data) ? data.reduce<number>((sum, part) => sum + sizeOf(part), 0) : 0;
}
