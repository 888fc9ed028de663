import type { Alarm } from "../internal/alarm.ts";

/** Signs that the host has forgotten the plugin, or is gone, until a sign of life shows what is true. */
export interface HostDoubts {
  /** A call was answered `unauthenticated`. */
  refused(): void;
  /** A connection was lost. */
  lost(): void;
  readonly isRefused: boolean;
  readonly isLost: boolean;
  /** The host is asked now: what is lost from here on is another matter. */
  asked(): void;
  settled(): void;
  clear(): void;
}

/** @param alarm rings at each doubt. */
export function createHostDoubts(alarm: Alarm): HostDoubts {
  let isRefused = false;
  let isLost = false;
  return {
    refused() {
      isRefused = true;
      alarm.ring();
    },
    lost() {
      isLost = true;
      alarm.ring();
    },
    get isRefused() {
      return isRefused;
    },
    get isLost() {
      return isLost;
    },
    asked() {
      isLost = false;
    },
    settled() {
      isRefused = false;
    },
    clear() {
      isRefused = false;
      isLost = false;
    },
  };
}
