import type { DirectEndpoint, PluginSet } from "@cpg/core";

/** Where calls to a provider go. Settled when it registers: a name is resolved once. */
export type Upstream = HttpUpstream | UnixUpstream | DirectUpstream;

/** Which HTTP a provider speaks: told by its registration, or "auto", to be found out. */
export type UpstreamHttp = "1.1" | "2" | "auto";

export interface HttpUpstream {
  readonly kind: "http";
  readonly secure: boolean;
  /** The IP address to connect to. */
  readonly address: string;
  readonly port: number;
  /** For Host and :authority: name and port as the provider gave them. */
  readonly authority: string;
  /** Name to ask for in TLS and to find in the certificate. Undefined: the address is all there is. */
  readonly servername: string | undefined;
  /** Path of base_url without its last "/"; "" as a rule. */
  readonly basePath: string;
  readonly http: UpstreamHttp;
}

/** Only of plugins that the host launched. */
export interface UnixUpstream {
  readonly kind: "unix";
  readonly path: string;
  readonly authority: string;
  readonly basePath: "";
  readonly http: UpstreamHttp;
}

/** A plugin in this process or one of its threads, reached without a socket. Only of plugins that the host launched. */
export interface DirectUpstream {
  readonly kind: "direct";
  readonly endpoint: DirectEndpoint;
  /** What it serves: the router speaks HTTP, so it has to know the messages. */
  readonly plugins: PluginSet;
}
