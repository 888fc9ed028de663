import { Code, ConnectError } from "@connectrpc/connect";
import type { HostContext, IssuedIdentity } from "@cpg/core";
import type { Probe } from "../health/probe.ts";
import type { AccessPolicy } from "../policy/access-policy.ts";
import type { HostUpstreamPolicy } from "../policy/create-upstream-policy.ts";
import type { Upstream } from "../router/upstream.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import { type AttachOptions, type ResolvedAttachOptions, resolveAttachOptions } from "./attach-options.ts";
import { type AttachTarget, type LaunchedTarget, locateTarget } from "./attach-target.ts";
import { type AttachedPlugin, createAttachedPlugin } from "./attached-plugin.ts";
import { createAttachments } from "./attachments.ts";
import { introducePlugin } from "./introduce-plugin.ts";
import type { ManagedPlugins } from "./managed-plugins.ts";
import type { PeerDeclarations } from "./peer-declarations.ts";
import { askDescription, type PluginDescription } from "./plugin-description.ts";
import { openUpstreamCalls, type UpstreamCallOptions } from "./upstream-calls.ts";

export interface AttacherParts extends Omit<UpstreamCallOptions, "clock"> {
  readonly host: Pick<HostContext, "identities" | "clock" | "publicUrl">;
  readonly store: RegistryStore;
  readonly access: AccessPolicy;
  readonly upstreams: Pick<HostUpstreamPolicy, "settle">;
  readonly managed: ManagedPlugins;
  readonly declarations: Pick<PeerDeclarations, "of" | "learn">;
  readonly probe: Probe;
  /** Hears of errors that nobody else gets to see. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Takes plugins under the wing of the host: its side of the deployment in which it manages them. */
export interface Attacher {
  /**
   * Attaches a plugin: asks what it is (GetPluginInfo), gives it an identity (SetRuntimeIdentity), and registers what it
   * does not register itself. A plugin that serves none of that is attached as well, if `selfId` names it. It is detached
   * when its identity ends, other than by time, or when a launched one exits. While it is attached the host renews its
   * identity. If any of this fails, nothing of it is left.
   * @throws {ConnectError} of the calls; `invalid_argument` for a description against the rules or a malformed endpoint;
   * `failed_precondition` when its name is lacking or another, or it is attached already; `permission_denied` when
   * the plugin does not take this for its host, or policy forbids a service that it provides; `aborted` when its identity
   * ends meanwhile; the reason of `signal`. {RangeError} for bad options, naming the option.
   */
  attach(target: AttachTarget, options?: AttachOptions): Promise<AttachedPlugin>;
  /** Gives up what is under way and detaches all. Idempotent. */
  close(): void;
}

export function createAttacher(parts: AttacherParts): Attacher {
  const { host, store, probe, declarations, onError = () => {} } = parts;
  const { identities, clock } = host;
  const attachments = createAttachments({ ...parts, onError });
  const closed = new AbortController();
  const callOptions: UpstreamCallOptions = { tls: parts.tls, interceptors: parts.interceptors, clock };

  const attach = async (target: AttachTarget, options: ResolvedAttachOptions): Promise<AttachedPlugin> => {
    const launched = typeof target === "string" ? undefined : target;
    const { callTimeoutMs, controlToken = launched?.controlToken } = options;
    const gone = exitSignal(launched);
    const signal = AbortSignal.any([closed.signal, gone, ...(options.signal ? [options.signal] : [])]);
    signal.throwIfAborted();
    const upstream = await locateTarget(target, parts.upstreams, signal);
    const calls = openUpstreamCalls(upstream, callOptions);
    try {
      const told = await askDescription(calls, { timeoutMs: callTimeoutMs, signal });
      const adopted = options.identity ?? launched?.identity;
      const info = describePlugin(told, { ...options, selfId: options.selfId ?? adopted?.selfId });
      options.onStage("identity", info);
      const issued = adopted === undefined ? issueTo(info, told !== undefined || declaresSome(info)) : undefined;
      const identity = adopted ?? issued?.identity;
      if (identity === undefined) throw new Error("neither an identity of its own nor a new one");

      const attachment = attachments.begin({ identity, upstream, controlToken });
      const { runtimeId } = identity;
      if (options.standby) {
        attachment.ended.addEventListener("abort", store.hold(runtimeId), { once: true });
      }
      try {
        correctUpstreams(store, runtimeId, upstream);
        if (adopted !== undefined && declarations.of(adopted) === undefined && declaresSome(info)) {
          declarations.learn(adopted, info);
        }
        const until = AbortSignal.any([signal, attachment.ended]);
        const introduction = { parts, calls, upstream, identity, issued, info, controlToken, options };
        await introducePlugin({ ...introduction, signal: until });
      } catch (reason) {
        if (issued === undefined) attachment.release();
        else attachment.detach();
        throw reason;
      }
      attachment.keepAlive();
      const { ended: detached, detach } = attachment;
      gone.addEventListener("abort", detach, { once: true, signal: detached });
      return createAttachedPlugin({
        identity,
        info,
        upstream,
        controlToken,
        launched,
        callTimeoutMs,
        store,
        probe,
        clock,
        calls: callOptions,
        detached,
        detach,
      });
    } catch (reason) {
      signal.throwIfAborted(); // calls that are given up fail in many ways
      throw reason;
    } finally {
      await calls.close();
    }
  };

  const issueTo = (info: PluginDescription, declares: boolean): IssuedIdentity => {
    const { selfId, selfVersion, provides, requires } = info;
    return identities.issue({ selfId, selfVersion, declares: declares ? { provides, requires } : undefined });
  };

  return {
    attach: async (target, options = {}) => attach(target, resolveAttachOptions(options)),
    close() {
      closed.abort(new ConnectError("the host is closing", Code.Unavailable));
      attachments.close();
    },
  };
}

function exitSignal(launched: LaunchedTarget | undefined): AbortSignal {
  const gone = new AbortController();
  void launched?.exited.then(() => gone.abort(new ConnectError("the plugin has ended", Code.Unavailable)));
  return gone.signal;
}

function declaresSome({ provides, requires }: PluginDescription): boolean {
  return provides.length > 0 || requires.length > 0;
}

/** What a plugin says of itself, completed by what the host says of it. */
function describePlugin(told: PluginDescription | undefined, options: ResolvedAttachOptions): PluginDescription {
  const { selfId = "", selfVersion, provides, requires } = options;
  const description = told ?? { selfId: "", selfVersion, provides, requires, metadata: {} };
  if (description.selfId === "" && selfId === "") {
    throw new ConnectError("the plugin does not tell its name: selfId has to be given", Code.FailedPrecondition);
  }
  if (description.selfId !== "" && selfId !== "" && description.selfId !== selfId) {
    const message = `the plugin calls itself ${description.selfId}, not ${selfId}`;
    throw new ConnectError(message, Code.FailedPrecondition);
  }
  return { ...description, selfId: description.selfId || selfId };
}

/** What a plugin registered before its host knew where it is may lead elsewhere, or nowhere. */
function correctUpstreams(store: RegistryStore, runtimeId: string, upstream: Upstream): void {
  const provider = store.provider(runtimeId);
  if (provider === undefined) return;
  for (const { id: _id, providerId: _providerId, ...facts } of store.ofProvider(runtimeId)) {
    store.register(provider, { ...facts, upstream });
  }
}
