import type { HostContext, HostExtension, HttpRoute, InstalledExtension } from "@cpg/core";

/** What a call needs to be routed. */
export interface RoutedAs {
  /** Stands before its path, "/services/{type}/{provider}". */
  readonly prefix: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * A registry whose host also takes calls to `path` and hands them to its router, as if their caller had sent the prefix
 * and the credentials: the suite's client knows neither.
 * @param routedAs is asked at each call.
 */
export function inFrontOfRouter(registry: HostExtension, path: string, routedAs: () => RoutedAs): HostExtension {
  return {
    name: registry.name,
    install(host: HostContext): InstalledExtension {
      const installed = registry.install(host);
      const { httpRoutes = [] } = installed;
      const router = httpRoutes.find((route) => route.path === "/services/");
      if (router === undefined) throw new Error("the registry has no router");
      return { ...installed, httpRoutes: [...httpRoutes, frontRoute(router, path, routedAs)] };
    },
  };
}

function frontRoute(router: HttpRoute, path: string, routedAs: () => RoutedAs): HttpRoute {
  const { handleStream } = router;
  return {
    path,
    prefix: true,
    handle(request, response) {
      const { prefix, headers } = routedAs();
      request.url = prefix + request.url;
      Object.assign(request.headers, headers);
      request.rawHeaders.push(...Object.entries(headers).flat());
      return router.handle(request, response);
    },
    ...(handleStream && {
      handleStream(stream, received, rawHeaders) {
        const { prefix, headers } = routedAs();
        const target = `${prefix}${received[":path"]}`;
        const raw = [...rawHeaders, ...Object.entries(headers).flat()];
        raw[raw.indexOf(":path") + 1] = target;
        handleStream.call(router, stream, { ...received, ...headers, ":path": target }, raw);
      },
    }),
  };
}
