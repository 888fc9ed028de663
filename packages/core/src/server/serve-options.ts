import type { X509Certificate } from "node:crypto";
import type { Registry } from "@bufbuild/protobuf";
import type { ContextValues, Interceptor } from "@connectrpc/connect";
import type { BackoffOptions, Clock } from "@cpg/resilience";
import type { OwnDeclarations } from "../definition/declared-services.ts";
import type { CheckedPluginSet, Implementations, PluginSet } from "../definition/plugin-set.ts";
import type { HandshakeRateOptions } from "../handshake/handshake-rate.ts";
import type { HostEndpoints } from "../host-link/host-choice.ts";
import type { HostLinkEvent } from "../host-link/host-link.ts";
import type { AdmissionPolicy } from "../identity/admission.ts";
import type { ListenAddress, ListenerLimits, ServerTlsOptions } from "../listener/listener.ts";
import type { NodeServerRequest } from "../listener/node-handler.ts";
import type { MagicCookie } from "../protocol/constants.ts";
import type { ClientTlsOptions } from "../wire/call-transport.ts";
import type { HostExtension } from "./host-extension.ts";
import type { HttpRoute } from "./http-route.ts";
import type { RequestGate } from "./request-gate.ts";

/** Where a server listens, for calls over HTTP. */
export interface ListenOptions {
  /**
   * Where to listen. Default: the Unix socket or PORT that the environment names, else port 8080; on 127.0.0.1. Other
   * machines reach the server only if a `host` says so. A plugin launched as a worker thread has no address and needs none.
   */
  readonly listen?: ListenAddress | undefined;
  /** Serves TLS instead of cleartext. */
  readonly tls?: ServerTlsOptions | undefined;
  /** Limits of the listener. */
  readonly limits?: Partial<ListenerLimits> | undefined;
}

/** What bounds the messages of a server. */
export interface ServeLimits {
  /** Bytes of one message, in and out. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Bytes of one message of a response. Default: `maxMessageBytes`. */
  readonly maxResponseBytes?: number | undefined;
  /** Types that a `google.protobuf.Any` may hold in JSON. Default: none. */
  readonly registry?: Registry | undefined;
}

export interface ServeOptions<Plugins extends PluginSet> extends ListenOptions, ServeLimits {
  /** The plugins to serve. At least one, but of a host, which has extensions, and of a program that only uses others (`selfId`). */
  readonly plugins: Plugins & CheckedPluginSet<Plugins>;
  /** One implementation for each of them. */
  readonly impls: Implementations<Plugins>;
  /** URL under which others reach this server, if that is not where it listens. Never taken from a request. */
  readonly publicUrl?: string | undefined;

  /**
   * What this program provides and requires beside what its plugins do, for its host: a service that it registers with a
   * registry client, one that it calls. Default: nothing.
   */
  readonly declares?: OwnDeclarations | undefined;
  /**
   * The plugin's own name towards a host: a letter, then letters, digits, "_", "." or "-", 128 bytes at most. Its runtime
   * id has the name in lower case. Default: the name of the first plugin; "host" for a host that serves none.
   */
  readonly selfId?: string | undefined;
  /** Free text, at most 64 bytes. Default: the version of the first plugin, else empty. */
  readonly selfVersion?: string | undefined;
  /** Default: the cookie of the protocol. */
  readonly magicCookie?: MagicCookie | undefined;
  /** Versions of the application's own protocol that this server speaks. Default [1]. */
  readonly appProtocolVersions?: readonly number[] | undefined;
  /** Free facts for every client, in the answer of the handshake. */
  readonly serverMetadata?: Readonly<Record<string, string>> | undefined;

  /** Interceptors of every call, handshake and health included; the first is outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Interceptors of one plugin's calls, inside those of the server. */
  readonly pluginInterceptors?: { readonly [Name in keyof Plugins]?: readonly Interceptor[] } | undefined;
  /** Sets context values for one request, before any interceptor runs. The peer of the connection is there already. */
  readonly contextValues?: ((request: NodeServerRequest, values: ContextValues) => void) | undefined;
  /**
   * Looks at every HTTP request, RPC or not, before anything else does. An error that it returns is the answer, in the
   * caller's protocol. What it throws refuses the request too, as `internal`. Default: all may pass.
   */
  readonly gate?: RequestGate | undefined;
  /** Plain HTTP handlers beside the RPCs. */
  readonly httpRoutes?: readonly HttpRoute[] | undefined;
  /** What other packages add, such as a registry. A server with extensions is a host. */
  readonly extensions?: readonly HostExtension[] | undefined;

  /**
   * Who may get a runtime identity. Default on loopback and Unix sockets: `loopbackPeers()`. A host that listens
   * elsewhere has to name its policy; a plugin that does, and names none, issues no identities.
   */
  readonly admission?: AdmissionPolicy | undefined;
  /** Time to live of a runtime identity, in ms. Default 24 h. */
  readonly identityTtlMs?: number | undefined;
  /** How often one peer may shake hands. Default: 100 per second of one address, 10 of one name there. */
  readonly handshakeRate?: HandshakeRateOptions | undefined;
  /** Live runtime identities at a time. Default 10 000. */
  readonly maxIdentities?: number | undefined;

  /** How the host of this plugin proves itself, beyond the secret that a launching host hands over. */
  readonly control?: ControlOptions | undefined;
  /** The plugin's link to its host. Default: there is one, unless the server has extensions; `false`: none. */
  readonly link?: LinkOptions | false | undefined;

  /** How long calls in flight may take to finish when the server closes, in ms. Default 30 000. */
  readonly graceMs?: number | undefined;
  /** Close on SIGTERM and SIGINT, then let the process end by that signal. Default true. */
  readonly handleSignals?: boolean | undefined;
  /**
   * Where PORT, HOST_URL and the variables of a launcher are read. Default `process.env`, out of which the launcher's
   * own, CPG_*, are taken, so that programs this one starts do not inherit them. `{}` ignores them.
   */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Hears of errors that no caller gets to see, such as malformed requests. What it throws is dropped. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
  readonly clock?: Clock | undefined;
}

export interface ControlOptions {
  /** Secret that the host sends as `control_token`. At least 32 characters. */
  readonly token?: string | undefined;
  /** Recognises the host by its client certificate, which has been verified. */
  readonly hostCertificate?: ((certificate: X509Certificate) => boolean) | undefined;
  /** Takes every caller for the host. Needed under a Go host, which proves nothing. Default false. */
  readonly allowAnyHost?: boolean | undefined;
}

export interface LinkOptions {
  /**
   * The host; or several, as a list or a discovery, of which the plugin is linked to one, and to another when that is
   * lost. Default: HOST_URL of the environment, which may list several with commas between them; without either the
   * plugin waits to be given an identity.
   */
  readonly hostUrl?: HostEndpoints | undefined;
  /** URL under which the host reaches this plugin. Default: `publicUrl`, else where it listens. */
  readonly baseUrl?: string | undefined;
  readonly tls?: ClientTlsOptions | undefined;
  /** Interceptors of every call to the host, such as credentials; the first is outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /**
   * Time between two signs of life, in ms. A host that is lost is missed by then; at once when its connection breaks
   * (HTTP/2), or that of a call. Default 10 000.
   */
  readonly heartbeatMs?: number | undefined;
  /** Delays while the host is away. Default: from 100 ms to 10 s, jitter "equal". */
  readonly backoff?: BackoffOptions | undefined;
  /** Hears what the link does and what goes wrong. */
  readonly onEvent?: ((event: HostLinkEvent) => void) | undefined;
}
