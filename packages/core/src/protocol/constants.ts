/** Version of the protocol itself; there is only this one. */
export const CORE_PROTOCOL_VERSION = 1;

/** App protocol version of a host or plugin that names none. */
export const DEFAULT_APP_PROTOCOL_VERSION = 1;

/** Guards against talking to something that is no plugin by mistake. Not a secret. */
export interface MagicCookie {
  readonly key: string;
  readonly value: string;
}

export const DEFAULT_MAGIC_COOKIE: MagicCookie = {
  key: "CONNECT_PLUGIN",
  value: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
};

export const DEFAULT_PORT = 8080;
export const DEFAULT_HOST_URL = "http://localhost:8080";
export const DEFAULT_TOKEN_TTL_MS = 24 * 60 * 60 * 1000;
export const DEFAULT_GRACE_MS = 30_000;

/** Request headers, in lower case as they appear in `Headers`. */
export const HEADER = {
  runtimeId: "x-plugin-runtime-id",
  authorization: "authorization",
  /** Proves the runtime id of a call whose Authorization is something else, such as a grant's token. Ours. */
  runtimeToken: "x-plugin-runtime-token",
  /** Who calls through a host. Set by the host's router; believed only from the plugin's own host. */
  callerId: "x-plugin-caller-id",
  /** Proves on a routed call that it comes from the plugin's own host. Ours. */
  controlToken: "x-plugin-control-token",
  /** On GetPluginInfo: asks a launched plugin to prove that it is the one that was launched. Ours. */
  launchChallenge: "x-plugin-launch-challenge",
  /** The answer to that. Ours. */
  launchProof: "x-plugin-launch-proof",
} as const;

/** Environment variables that a launched plugin reads. Those that start with CPG_ are ours. */
export const ENV = {
  port: "PORT",
  hostUrl: "HOST_URL",
  disableTlsWarning: "CONNECTPLUGIN_DISABLE_TLS_WARNING",
  /** Unix socket that a plugin of ours listens on instead of PORT. */
  socket: "CPG_SOCKET",
  /** Secret by which the launching host proves itself to the plugin. */
  controlToken: "CPG_CONTROL_TOKEN",
  /** Set when the launcher waits for the ready line on stdout. */
  readyLine: "CPG_READY_LINE",
} as const;

/** Keys of a registration's metadata that the protocol or we give a meaning. */
export const REGISTRATION_METADATA = {
  /** URL under which the host reaches the provider. */
  baseUrl: "base_url",
  /** HTTP versions that are spoken there, for example "1.1,2". Ours. Without it whoever calls has to try. */
  httpVersions: "http_versions",
} as const;

/** Keys of the handshake's server_metadata by which a server of ours announces what it can do. */
export const SERVER_METADATA = {
  /** HTTP versions of the listener, for example "1.1,2". */
  http: "cpg.http",
  /** "1": cpg.runtime.v1.RuntimeService is served. */
  runtime: "cpg.runtime",
  /** "1": /services/{type}/-/ is served, where the host chooses the provider of each call. */
  router: "cpg.router",
} as const;
