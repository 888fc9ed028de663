import type { Rule } from "../rule/rule.ts";
import { onceItAnswers } from "../server/answer-rule.ts";
import { formatRules } from "../server/format-rules.ts";
import { handshakeRules } from "../server/handshake-rules.ts";
import { healthRules } from "../server/health-rules.ts";
import type { HostUnderTest } from "./host-under-test.ts";
import { anyProviderRules } from "./rules/any-provider-rules.ts";
import { capabilityRules } from "./rules/capability-rules.ts";
import { discoveryRules } from "./rules/discovery-rules.ts";
import { identityRules, namedHandshakeRules } from "./rules/identity-rules.ts";
import { providerHealthRules } from "./rules/provider-health-rules.ts";
import { registrationRules } from "./rules/registration-rules.ts";
import { routeProtocolRules } from "./rules/route-protocol-rules.ts";
import { routeRules } from "./rules/route-rules.ts";
import { watchRules } from "./rules/watch-rules.ts";

/** All that a host can be asked from outside, in the order in which it is asked. */
export const hostRules: readonly Rule<HostUnderTest>[] = onceItAnswers([
  ...handshakeRules,
  ...namedHandshakeRules,
  ...formatRules,
  ...healthRules,
  ...identityRules,
  ...registrationRules,
  ...discoveryRules,
  ...watchRules,
  ...routeRules,
  ...routeProtocolRules,
  ...anyProviderRules,
  ...providerHealthRules,
  ...capabilityRules,
]);
