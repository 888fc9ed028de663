import { WhoAmIService } from "@cpg/auth/testing";
import { definePlugin } from "@cpg/core";

/** What host and plugin share. */
export const whoami = definePlugin({ name: "whoami", version: "1.0.0", service: WhoAmIService });
