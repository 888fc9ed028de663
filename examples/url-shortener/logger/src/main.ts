// Writes what the others log to stdout. HOST_URL: where it registers; PORT, LISTEN_HOST, PUBLIC_URL.
import { callerIdKey, serve } from "@cpg/core";
import { logger, serviceSettings } from "@cpg/example-url-shortener-contracts";

const server = await serve({
  plugins: { logger },
  impls: {
    logger: {
      log({ level, message }, { values }) {
        const caller = values.get(callerIdKey);
        console.log(`log ${level}${caller === undefined ? "" : ` ${caller}`}: ${message}`);
        return {};
      },
    },
  },
  ...serviceSettings(process.env),
});
console.log(`logger ready at ${server.endpoint}`);
