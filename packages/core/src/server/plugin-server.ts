import type { HealthReporter } from "../health/health-reporter.ts";
import type { HostLink } from "../host-link/host-link.ts";
import type { IdentityRegistry } from "../identity/identity-registry.ts";
import type { ServerAddress } from "./carrier.ts";

export interface CloseOptions {
  /** How long calls in flight may take to finish, in ms. Default: `graceMs` of the server. */
  readonly graceMs?: number | undefined;
}

export interface PluginServer extends AsyncDisposable {
  /** Where the server listens, "http://127.0.0.1:8080", "https://…" or "unix:/path": what a client takes. */
  readonly endpoint: string;
  readonly address: ServerAddress;
  /** URL under which others reach it: `publicUrl`, else the endpoint. */
  readonly publicUrl: string;
  readonly health: HealthReporter;
  /** The runtime identities that this server issues. */
  readonly identities: IdentityRegistry;
  /** The link to this plugin's host, unless it has none. */
  readonly link: HostLink | undefined;
  /** Aborts when the server begins to close. Streams that would not end by themselves should end then. */
  readonly draining: AbortSignal;
  /** Resolves when the server has closed, whoever closed it: its owner, its host or a signal. Never rejects. */
  readonly closed: Promise<void>;
  /**
   * Closes gracefully: reports itself not ready, takes its registrations back, accepts no more connections, lets calls in
   * flight finish within the grace, cuts what remains, and runs the shutdown steps of the extensions in reverse order.
   * Called again it shares the result; the earliest end of a grace wins.
   * @throws {RangeError} for a bad grace. {AggregateError} of what the shutdown steps threw, after all of them ran.
   */
  close(options?: CloseOptions): Promise<void>;
}
