import { HealthService, ServingStatus } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { expectError, expectOk, expectSame, expectThat } from "../rule/expectations.ts";
import { BrokenRule, NotServed } from "../rule/finding.ts";
import type { Rule } from "../rule/rule.ts";
import { enumName } from "../wire/enum-name.ts";
import { type HttpAnswer, readWhole } from "../wire/http-exchange.ts";
import { randomName } from "../wire/random-name.ts";
import { callServerStream, callUnary } from "../wire/rpc-client.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/** connectplugin.health.v1, and the same over plain HTTP. */
export const healthRules: readonly Rule<ServerUnderTest>[] = [
  {
    id: "health.check",
    section: "Services",
    expects: "HealthService.Check of the whole server says SERVING or NOT_SERVING",
    mayLack: true,
    async check(server) {
      const status = await checkStatus(server);
      expectThat(status === "SERVING" || status === "NOT_SERVING", `status ${status}`);
    },
  },
  {
    id: "health.unknown",
    section: "Services",
    expects: "HealthService.Check of a name that nobody has is not_found",
    mayLack: true,
    needs: ["health.check"],
    async check(server) {
      const service = randomName("unknown");
      expectError("Check", await callUnary(server, HealthService.method.check, { service }), "not_found");
    },
  },
  {
    id: "health.watch",
    section: "Services",
    expects: "HealthService.Watch begins with the present status, that of Check",
    mayLack: true,
    needs: ["health.check"],
    async check(server) {
      expectSame("first status", await firstWatched(server, ""), await checkStatus(server));
    },
  },
  {
    id: "health.watch-unknown",
    section: "Messages",
    expects: "HealthService.Watch of a name that nobody has begins with SERVICE_UNKNOWN",
    level: "ours",
    mayLack: true,
    needs: ["health.watch"],
    async check(server) {
      expectSame("first status", await firstWatched(server, randomName("unknown")), "SERVICE_UNKNOWN");
    },
  },
  {
    id: "http.healthz",
    section: "HTTP beside the RPCs",
    expects: "GET /healthz is 200 while the process lives",
    mayLack: true,
    async check(server) {
      expectSame("status", (await get(server, "/healthz")).status, 200);
    },
  },
  {
    id: "http.readyz",
    section: "HTTP beside the RPCs",
    expects: "GET /readyz is 200 when the health service says SERVING, else 503",
    mayLack: true,
    async check(server) {
      const { status } = await get(server, "/readyz");
      const health = await callUnary(server, HealthService.method.check, { service: "" });
      if (health.kind !== "message") expectThat(status === 200 || status === 503, `status ${status}`);
      else expectSame("status", status, health.message.status === ServingStatus.SERVING ? 200 : 503);
    },
  },
  {
    id: "http.health",
    section: "HTTP beside the RPCs",
    expects: "GET /health is answered as GET /readyz",
    mayLack: true,
    needs: ["http.readyz"],
    async check(server) {
      expectSame("status", (await get(server, "/health")).status, (await get(server, "/readyz")).status);
    },
  },
];

async function get({ http, signal }: ServerUnderTest, path: string): Promise<HttpAnswer> {
  const answer = await readWhole(http.open("1.1", { path }, signal));
  if (answer.status === 404 || answer.status === 405) throw new NotServed(`GET ${path}: HTTP ${answer.status}`);
  return answer;
}

async function checkStatus(server: ServerUnderTest): Promise<string> {
  const answer = await callUnary(server, HealthService.method.check, { service: "" });
  return nameOf(expectOk("Check", answer).status);
}

async function firstWatched(server: ServerUnderTest, service: string): Promise<string> {
  const stream = callServerStream(server, HealthService.method.watch, { service });
  try {
    for await (const item of stream) {
      if (item.kind === "message") return nameOf(item.message.status);
      if (item.answer !== undefined) expectOk("Watch", item.answer);
    }
    throw new BrokenRule("Watch ended without a status");
  } finally {
    stream.cancel();
  }
}

function nameOf(status: ServingStatus): string {
  return enumName(ServingStatus, status);
}
