import { Code, ConnectError } from "@connectrpc/connect";
import { answerError, type HttpRoute } from "@cpg/core";

const prefix = "/r/";

/** GET /r/{code} leads to the URL behind it, for browsers. */
export function redirectRoute(resolve: (code: string) => Promise<string>): HttpRoute {
  return {
    path: prefix,
    prefix: true,
    async handle(request, response) {
      const [path = ""] = (request.url ?? "").split("?");
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.setHeader("allow", "GET, HEAD");
        response.statusCode = 405;
        response.end();
        return;
      }
      try {
        response.setHeader("location", await resolve(path.slice(prefix.length)));
        response.statusCode = 302;
        response.end();
      } catch (reason) {
        // Without what came along from storage: metadata and details.
        const error = ConnectError.from(reason, Code.Internal);
        answerError(request, response, new ConnectError(error.rawMessage, error.code));
      }
    },
  };
}
