import { describeProxiedCalls } from "./support/describe-proxied-calls.ts";

describeProxiedCalls("nginx");
