import { Code, ConnectError } from "@connectrpc/connect";
import type { HostContext, RuntimeIdentity } from "@cpg/core";
import type { Upstream } from "../router/upstream.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import type { ManagedPlugins } from "./managed-plugins.ts";

/** The tie between the host and one plugin that it looks after. */
export interface Attachment {
  /** Aborts when it ends, for whatever reason. */
  readonly ended: AbortSignal;
  /** The host renews the identity from now on. */
  keepAlive(): void;
  /** Ends it, and leaves the plugin its identity and its registrations. Idempotent. */
  release(): void;
  /** Ends it, and takes identity and registrations back. Idempotent. */
  detach(): void;
}

export interface AttachmentFacts {
  readonly identity: RuntimeIdentity;
  readonly upstream: Upstream;
  readonly controlToken: string | undefined;
}

export interface Attachments {
  /** @throws {ConnectError} `failed_precondition` if the plugin is attached already, `aborted` if its identity has ended. */
  begin(facts: AttachmentFacts): Attachment;
  /** Detaches all, and follows nothing any more. Idempotent. */
  close(): void;
}

export interface AttachmentsParts {
  readonly host: Pick<HostContext, "identities" | "clock">;
  readonly store: RegistryStore;
  readonly managed: ManagedPlugins;
  onError(error: unknown): void;
}

/** An attachment ends with the identity of its plugin, unless that only ran out of time: then with its registrations. */
export function createAttachments({ host, store, managed, onError }: AttachmentsParts): Attachments {
  const { identities, clock } = host;
  /** By runtime id. */
  const open = new Map<string, Attachment>();

  const forgetIdentities = identities.onEnd(({ runtimeId }, reason) => {
    // The registrations of one whose time is over stay while it answers, and with them the knowledge of where it is.
    if (reason !== "expired" || store.provider(runtimeId) === undefined) open.get(runtimeId)?.release();
  });
  const forgetChanges = store.onChange((change) => {
    if (change.type !== "provider-removed") return;
    const { id } = change.provider;
    if (identities.get(id) === undefined) open.get(id)?.release();
  });

  const renew = async (runtimeId: string, ended: AbortSignal): Promise<void> => {
    try {
      for (;;) {
        await clock.sleep(identities.ttlMs / 2, ended);
        identities.renew(runtimeId);
      }
    } catch (error) {
      if (!ended.aborted) onError(error);
    }
  };

  return {
    begin({ identity: { runtimeId }, upstream, controlToken }) {
      if (identities.get(runtimeId) === undefined) throw notAttached(runtimeId);
      const forget = managed.add({ runtimeId, upstream, controlToken });
      const end = new AbortController();
      const attachment: Attachment = {
        ended: end.signal,
        keepAlive: () => void renew(runtimeId, end.signal),
        release() {
          if (end.signal.aborted) return;
          forget();
          open.delete(runtimeId);
          end.abort(notAttached(runtimeId));
        },
        detach() {
          if (end.signal.aborted) return;
          attachment.release();
          store.removeProvider(runtimeId, "removed");
          identities.revoke(runtimeId, "released");
        },
      };
      open.set(runtimeId, attachment);
      return attachment;
    },
    close() {
      for (const attachment of [...open.values()]) attachment.detach();
      forgetIdentities();
      forgetChanges();
    },
  };
}

function notAttached(runtimeId: string): ConnectError {
  return new ConnectError(`plugin ${runtimeId} is not attached any more: its identity has ended`, Code.Aborted);
}
