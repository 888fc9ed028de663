import { request } from "node:http";
import { type PluginServer, serve } from "@cpg/core";
import { type AuditEvent, type Broker, type BrokerOptions, createBroker } from "../../src/index.ts";

export interface BrokerHost extends AsyncDisposable {
  readonly server: PluginServer;
  readonly broker: Broker;
  readonly endpoint: string;
  /** What was told to onAudit. */
  readonly events: AuditEvent[];
  /** What was told to onError. */
  readonly errors: unknown[];
  /** Gives out an identity, as a handshake would. */
  admit(selfId: string, requires?: readonly string[]): Caller;
}

/** A plugin, as far as its host can see. */
export interface Caller {
  readonly runtimeId: string;
  readonly token: string;
  /** What it sends to the RPCs of its host. */
  readonly headers: Readonly<Record<string, string>>;
  /** What it sends beside a grant's token to prove who it is. */
  readonly proof: Readonly<Record<string, string>>;
}

export async function startBrokerHost(
  options: BrokerOptions,
  { port = 0, publicUrl }: { readonly port?: number; readonly publicUrl?: string } = {},
): Promise<BrokerHost> {
  const events: AuditEvent[] = [];
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const broker = createBroker({ onAudit: (event) => events.push(event), onError, ...options });
  const server = await serve({
    plugins: {},
    impls: {},
    extensions: [broker],
    listen: { port },
    publicUrl,
    environment: {},
    handleSignals: false,
    onError,
  });
  return {
    server,
    broker,
    endpoint: server.endpoint,
    events,
    errors,
    admit(selfId, requires) {
      const declares = requires && { provides: [], requires: requires.map((type) => ({ type })) };
      const { identity, token } = server.identities.issue({ selfId, declares });
      const id = { "x-plugin-runtime-id": identity.runtimeId };
      return {
        runtimeId: identity.runtimeId,
        token,
        headers: { ...id, authorization: `Bearer ${token}` },
        proof: { ...id, "x-plugin-runtime-token": token },
      };
    },
    [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }),
  };
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As JSON, if it is. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface HttpQuestion {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
}

/** A request of plain HTTP/1.1, whose path nobody puts in order. */
export function ask(endpoint: string, path: string, question: HttpQuestion = {}): Promise<HttpAnswer> {
  const { method = "POST", headers = {}, json = {} } = question;
  const { hostname, port } = new URL(endpoint);
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const sent = request(
    { hostname, port, path, method, agent: false, headers: { "content-type": "application/json", ...headers } },
    async (response) => {
      try {
        const text = Buffer.concat(await response.toArray()).toString();
        const { statusCode: status = 0, headers: received } = response;
        const isJson = received["content-type"] === "application/json";
        resolve({ status, headers: received, text, json: isJson ? JSON.parse(text) : {} });
      } catch (reason) {
        reject(reason);
      }
    },
  );
  sent.on("error", reject);
  sent.end(method === "GET" ? undefined : JSON.stringify(json));
  return promise;
}

/** A grant, as a plugin with nothing but HTTP sees it. */
export interface PlainGrant {
  readonly id: string;
  readonly path: string;
  readonly accessor: string;
  readonly version: string;
  readonly token: string;
  /** What its holder sends, without proof of who that is. */
  readonly headers: Readonly<Record<string, string>>;
}

const requestPath = "/connectplugin.v1.CapabilityBroker/RequestCapability";

/** Asks for a grant as any HTTP client can, over Connect with JSON. */
export function askForGrant(
  { endpoint }: Pick<BrokerHost, "endpoint">,
  { headers }: Pick<Caller, "headers">,
  question: Readonly<Record<string, unknown>>,
  path: string = requestPath,
): Promise<HttpAnswer> {
  return ask(endpoint, path, { headers, json: question });
}

/** As `askForGrant`, of a host that says yes. */
export async function grantTo(
  host: Pick<BrokerHost, "endpoint">,
  caller: Pick<Caller, "headers">,
  question: Readonly<Record<string, unknown>>,
): Promise<PlainGrant> {
  const { status, json, text } = await askForGrant(host, caller, question);
  if (status !== 200) throw new Error(`the host answered ${status}: ${text}`);
  return readGrant(json);
}

export function readGrant(json: Readonly<Record<string, unknown>>): PlainGrant {
  const { grantId, endpointUrl, bearerToken, accessor, version } = json.grant as Record<string, string>;
  return {
    id: String(grantId),
    path: new URL(String(endpointUrl)).pathname,
    accessor: String(accessor),
    version: String(version),
    token: String(bearerToken),
    headers: { authorization: `Bearer ${bearerToken}` },
  };
}
