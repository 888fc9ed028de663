/** How a service of this example is started: all by environment, as containers are. */
export interface ServiceSettings {
  readonly listen: { readonly host: string; readonly port: number };
  /** URL under which others reach it. Undefined: where it listens. */
  readonly publicUrl: string | undefined;
}

/**
 * PORT (default 8080; 0: any free one), LISTEN_HOST (default 127.0.0.1: this machine only), PUBLIC_URL.
 * @throws {RangeError} naming the variable.
 */
export function serviceSettings(environment: Readonly<Record<string, string | undefined>>): ServiceSettings {
  const { PORT = "8080", LISTEN_HOST = "127.0.0.1", PUBLIC_URL } = environment;
  const port = Number(PORT);
  if (!/^\d+$/.test(PORT) || port > 65_535) throw new RangeError(`PORT must be from 0 to 65535, got "${PORT}"`);
  return { listen: { host: LISTEN_HOST, port }, publicUrl: PUBLIC_URL };
}
