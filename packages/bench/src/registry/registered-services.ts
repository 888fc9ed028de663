import type { ProviderFacts, ServiceFacts } from "@cpg/registry/state";

/** Provider number `index`. */
export function providerFacts(index: number): ProviderFacts {
  const id = `provider-${index}`;
  return { id, selfId: `plugin-${index % 100}`, instance: `place:${id}` };
}

export function serviceFacts(type: string): ServiceFacts {
  return {
    type,
    version: "1.0.0",
    endpointPath: "/example.v1.ExampleService/",
    metadata: { base_url: "http://127.0.0.1:8081" },
    weight: 100,
    leaseMs: undefined,
    upstream: {
      kind: "http",
      secure: false,
      address: "127.0.0.1",
      port: 8081,
      authority: "127.0.0.1:8081",
      servername: undefined,
      basePath: "",
      http: "auto",
    },
  };
}
