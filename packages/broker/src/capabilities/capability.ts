import type { DescService } from "@bufbuild/protobuf";
import type { Interceptor, ServiceImpl } from "@connectrpc/connect";
import type { HttpCapabilityHandler } from "./http-capability-handler.ts";

/** Something that the host lends to its plugins: see `defineCapability`, `defineHttpCapability`. */
export interface Capability {
  readonly type: string;
  readonly version: string;
  /** Undefined: as the broker says. */
  readonly requireHolderProof: boolean | undefined;
  readonly serves: ServedRpcs | ServedHttp;
}

export interface ServedRpcs {
  readonly kind: "rpc";
  readonly services: readonly ServedService[];
  readonly interceptors: readonly Interceptor[];
}

export interface ServedService {
  readonly service: DescService;
  readonly implementation: Partial<ServiceImpl<DescService>>;
}

export interface ServedHttp {
  readonly kind: "http";
  readonly handler: HttpCapabilityHandler;
}
