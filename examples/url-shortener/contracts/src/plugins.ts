// What the four services know of each other: nothing but this.
import { definePlugin } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { ShortenerService } from "./gen/urlshortener/v1/shortener_pb.ts";
import { StorageService } from "./gen/urlshortener/v1/storage_pb.ts";

const version = "1.0.0";

/** Writes lines. Everybody can do without it, in degraded mode. */
export const logger = definePlugin({
  name: "logger",
  version,
  service: Logger,
  provides: [{ type: "logger", version }],
});

/** Keeps codes and URLs. */
export const storage = definePlugin({
  name: "storage",
  version,
  service: StorageService,
  provides: [{ type: "storage", version }],
  requires: [{ type: "logger", minVersion: version, requiredForStartup: false, watchForChanges: true }],
});

/** Shortens and resolves. */
export const api = definePlugin({
  name: "api",
  version,
  service: ShortenerService,
  provides: [{ type: "api", version }],
  requires: [
    { type: "storage", minVersion: version },
    { type: "logger", minVersion: version, requiredForStartup: false, watchForChanges: true },
  ],
});
