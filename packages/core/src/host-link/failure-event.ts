import type { ConnectError } from "@connectrpc/connect";
import type { HostSession } from "./host-session.ts";
import { failureOf } from "./link-error.ts";
import { type LinkEvent, type LinkState, linkedSession, ownSession } from "./link-state.ts";

/** What it means for the link that its activity in a state failed. */
export function failureEvent<Given>(
  now: LinkState<HostSession, Given>,
  error: ConnectError,
  { managed, several }: { readonly managed: boolean; readonly several: boolean },
): LinkEvent<HostSession, Given> {
  const failure = failureOf(error);
  if (failure === "unauthenticated") return { type: "unauthenticated" };
  const session = linkedSession(now);
  if (failure === "unavailable") {
    // The host in use is asked once more, since the plugin is registered there.
    if (several && session === undefined && ownSession(now) !== undefined) return { type: "lost" };
    // Another host than ours takes any token for health reports: after a pause only a handshake makes sure.
    return { type: "unavailable", resume: managed || session?.renewable === true };
  }
  return now.kind === "linked" ? { type: "expiring" } : { type: "refused" };
}
