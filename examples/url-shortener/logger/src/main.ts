// Writes what the others log to stdout. HOST_URL: where it registers; PORT, LISTEN_HOST, PUBLIC_URL.
import { serve } from "@cpg/core";
import { linkToHost, loggerPlugin, serviceSettings } from "@cpg/example-url-shortener-contracts";

const server = await serve({
  plugins: { logger: loggerPlugin },
  impls: {
    logger: {
      log({ level, message }) {
        console.log(`log ${level}: ${message}`);
        return {};
      },
    },
  },
  link: linkToHost("logger"),
  ...serviceSettings(process.env),
});
console.log(`logger ready at ${server.endpoint}`);
