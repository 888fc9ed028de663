import { Code, ConnectError } from "@connectrpc/connect";
import { answerError, type HostExtension } from "@cpg/core";
import { createRpcHandler, type NodeHandler } from "@cpg/core/extension";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { CapabilityBroker } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import { grantRefused } from "../../src/grant-refused.ts";

const nothing: NodeHandler = (_, response) => {
  response.writeHead(404);
  response.end();
};

/** What a call under a grant looked like when it reached the host. */
export interface SeenCall {
  readonly path: string;
  readonly runtimeId: string | undefined;
  /** Whether the runtime token proves the runtime id. */
  readonly isProven: boolean;
  readonly message: string;
}

/**
 * A broker with the basic flow of the protocol and nothing else, as other hosts have it: it grants whatever is asked for,
 * and its grants have no time to live. It serves RequestCapability at the path of connect-plugin-go only.
 */
export function plainBroker(seen: SeenCall[]): HostExtension {
  const tokens = new Map<string, string>();
  let count = 0;
  return {
    name: "plain-broker",
    install(host) {
      const broker = createRpcHandler({
        fallback: nothing,
        routes: (router) =>
          router.service(CapabilityBroker, {
            requestCapability({ capabilityType }) {
              count += 1;
              const grantId = `id_${count}==`;
              tokens.set(grantId, `secret-${count}`);
              // As a host behind a proxy does, it names itself otherwise than the plugin knows it.
              const endpointUrl = `https://elsewhere.example/capabilities/${capabilityType}/${grantId}`;
              return {
                grant: { grantId, endpointUrl, bearerToken: `secret-${count}`, capabilityType, version: "1.0.0" },
              };
            },
          }),
      });
      const lend = (call: Omit<SeenCall, "message">) =>
        createRpcHandler({
          fallback: nothing,
          routes: (router) =>
            router.service(Logger, {
              log({ message }) {
                seen.push({ ...call, message });
                return {};
              },
            }),
        });
      return {
        httpRoutes: [
          {
            path: "/broker/",
            prefix: true,
            handle(request, response) {
              request.url = (request.url ?? "").slice("/broker".length);
              return broker(request, response);
            },
          },
          {
            path: "/capabilities/",
            prefix: true,
            handle(request, response) {
              const [, path = "", grantId = "", rest = ""] =
                /^(\/capabilities\/\w+\/([^/]+))(\/.*)$/.exec(request.url ?? "") ?? [];
              const token = tokens.get(grantId);
              if (token === undefined) return answerError(request, response, grantRefused("unknown", Code.NotFound));
              if (request.headers.authorization !== `Bearer ${token}`) {
                return answerError(request, response, new ConnectError("wrong token", Code.Unauthenticated));
              }
              const { "x-plugin-runtime-id": id, "x-plugin-runtime-token": proof } = request.headers;
              const headers = new Headers({ "x-plugin-runtime-id": String(id), authorization: `Bearer ${proof}` });
              const { runtimeId } = host.identities.authenticate(headers);
              request.url = rest;
              return lend({ path, runtimeId, isProven: runtimeId === id })(request, response);
            },
          },
        ],
      };
    },
  };
}
