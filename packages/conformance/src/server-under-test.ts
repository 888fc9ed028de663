// A server as the runner wants it: reads from stdin how to serve, serves, tells where on stdout, ends on SIGTERM.
import { openServerUnderTest } from "./open-server.ts";
import { openPlainServer } from "./plain-server.ts";
import { readCompatRequest } from "./read-compat-request.ts";
import { tellCompatResponse } from "./tell-compat-response.ts";

const request = await readCompatRequest();
const open = process.argv.includes("--plain") ? openPlainServer : openServerUnderTest;
tellCompatResponse(request, await open(request));
