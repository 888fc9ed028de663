// What the four services know of each other: nothing but this.
export { loggerPlugin } from "./gen/capability/logger/v1/logger_cpg.ts";
export { shortenerPlugin } from "./gen/urlshortener/v1/shortener_cpg.ts";
export { ShortenerService } from "./gen/urlshortener/v1/shortener_pb.ts";
export { storagePlugin } from "./gen/urlshortener/v1/storage_cpg.ts";
export { StorageService } from "./gen/urlshortener/v1/storage_pb.ts";
export { linkToHost } from "./link-to-host.ts";
export { type LogLine, logThroughHost } from "./log-line.ts";
export { type ServiceSettings, serviceSettings } from "./service-settings.ts";
