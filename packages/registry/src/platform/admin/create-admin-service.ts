import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { checkFreeText, invalidField } from "@cpg/core/extension";
import type { AdminService } from "@cpg/core/gen/cpg/admin/v1/admin_pb";
import type { PlatformCore } from "../platform.ts";
import { wireState } from "./wire-state.ts";

/** What can be read of a platform, and done to it, from outside. */
export type AdministeredPlatform = Pick<PlatformCore, "state" | "watch" | "restart" | "remove">;

export interface AdminServiceParts {
  /** Lets a call pass. @throws {ConnectError} if it may not. */
  permit(context: HandlerContext): Promise<void>;
  /** @throws {ConnectError} `unavailable` when there is none yet. */
  platform(): AdministeredPlatform;
  readonly operations: boolean;
  readonly maxWatches: number;
}

const maxIdBytes = 256;
const maxReasonBytes = 256;
const maxGraceMs = 24 * 60 * 60 * 1_000;

/** cpg.admin.v1.AdminService over a platform. Every call asks `permit` first. */
export function createAdminService(parts: AdminServiceParts): ServiceImpl<typeof AdminService> {
  const { permit, platform, operations, maxWatches } = parts;
  let watches = 0;

  /** Takes one of the places for watches until the call ends: a reader that goes may leave its generator as it is. */
  const takePlace = (signal: AbortSignal): (() => void) => {
    signal.throwIfAborted();
    if (watches >= maxWatches) {
      throw new ConnectError(`there are ${maxWatches} watches already`, Code.ResourceExhausted);
    }
    watches++;
    let isTaken = true;
    const giveBack = (): void => {
      signal.removeEventListener("abort", giveBack);
      if (isTaken) watches--;
      isTaken = false;
    };
    signal.addEventListener("abort", giveBack);
    return giveBack;
  };

  const permitOperation = async (context: HandlerContext): Promise<void> => {
    await permit(context);
    if (!operations) throw new ConnectError("operations are off: the state can be read only", Code.PermissionDenied);
  };

  return {
    async getState(_request, context) {
      await permit(context);
      return { state: wireState(platform().state()) };
    },

    async *watchState(_request, context) {
      const { signal } = context;
      await permit(context);
      const giveBack = takePlace(signal);
      try {
        for await (const state of platform().watch({ signal })) yield { state: wireState(state) };
      } finally {
        giveBack();
      }
    },

    async restartPlugin({ pluginId, grace }, context) {
      await permitOperation(context);
      checkFreeText("plugin_id", pluginId, maxIdBytes);
      await platform().restart(pluginId, { graceMs: readGrace(grace) });
      return {};
    },

    async removePlugin({ pluginId, force, grace, reason }, context) {
      await permitOperation(context);
      checkFreeText("plugin_id", pluginId, maxIdBytes);
      checkFreeText("reason", reason, maxReasonBytes);
      await platform().remove(pluginId, { force, graceMs: readGrace(grace), reason });
      return {};
    },
  };
}

/** In ms; undefined: it does not say. @throws {ConnectError} `invalid_argument`. */
function readGrace(grace: Duration | undefined): number | undefined {
  if (grace === undefined) return undefined;
  const ms = durationMs(grace);
  if (!(ms >= 0 && ms <= maxGraceMs)) throw invalidField("grace", "must be from 0 to 24 h");
  return ms;
}
