export { ShortenerService } from "./gen/urlshortener/v1/shortener_pb.ts";
export { StorageService } from "./gen/urlshortener/v1/storage_pb.ts";
export { linkToHost } from "./link-to-host.ts";
export { type LogLine, logThroughHost } from "./log-line.ts";
export { api, logger, storage } from "./plugins.ts";
export { type ServiceSettings, serviceSettings } from "./service-settings.ts";
