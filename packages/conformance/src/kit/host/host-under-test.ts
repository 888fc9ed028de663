import type { ServerUnderTest } from "../server/server-under-test.ts";
import type { EchoProvider, ProviderPlace } from "./echo-provider.ts";
import type { Registered } from "./host-calls.ts";

/** What the host gave to one of the kit's plugins. */
export interface Credentials {
  readonly runtimeId: string;
  readonly token: string;
}

/** A running host, and the kit's own plugins under it. */
export interface HostUnderTest extends ServerUnderTest {
  /** PEM of the authority that signed the host's certificate. */
  readonly ca: string | undefined;
  /** Where the plugins listen, as the host reaches it. */
  readonly provider: EchoProvider;
  /** Where further ones listen. */
  readonly providerPlace: ProviderPlace;
  /** The kit's plugins so far, by their part. */
  readonly plugins: Map<string, Credentials>;
  /** What is to be taken back at the end. */
  readonly registered: Registered[];
}
