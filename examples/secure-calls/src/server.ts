// The plugin, a program that runs elsewhere: node server.ts, with PORT, and TLS_FOLDER for its certificate. It answers to the
// holders of certificates alone, and of those only to the shop. On stderr it tells what it did.
import { authorize, createMtlsAuth, getAuth, serverTls } from "@cpg/auth";
import { serve } from "@cpg/core";
import { whoami } from "./plugin.ts";
import { openTlsFiles } from "./tls-files.ts";

const files = await openTlsFiles(process.env.TLS_FOLDER ?? ".", "plugin", () => console.error("new certificate"));
const tls = serverTls(files);
const auth = createMtlsAuth({ identity: "dns", tls });
const rules = authorize({
  rules: [{ name: "the shop", identities: ["shop.example"] }],
  onDecision: ({ allowed, identity, method }) => {
    if (!allowed) console.error(`${identity} may not call ${method}`);
  },
});

const server = await serve({
  plugins: { whoami },
  impls: {
    whoami: {
      whoAmI(_, context) {
        const caller = getAuth(context);
        return { identity: caller?.identity ?? "", commonName: String(caller?.claims.commonName) };
      },
    },
  },
  tls,
  limits: { maxConnectionAgeMs: 60_000 }, // then the peer opens another, with the certificate that it has by then
  interceptors: [auth.serverInterceptor()],
  pluginInterceptors: { whoami: [rules] },
});
console.error(`listens on ${server.endpoint}`);
await server.closed;
await files.close();
