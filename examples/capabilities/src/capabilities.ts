import { SecretsService } from "./gen/lent/v1/secrets_pb.ts";
import { StoreService } from "./gen/lent/v1/store_pb.ts";

/** What host and plugins share: names, versions and services, nothing of how the host does it. */
export const Secrets = { type: "secrets", version: "1.0.0", service: SecretsService } as const;
export const Store = { type: "store", version: "1.0.0", service: StoreService } as const;
