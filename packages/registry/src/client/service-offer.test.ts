import { describe, expect, it } from "vitest";
import { checkOffer, offerToWire } from "./service-offer.ts";

const offer = { type: "logger", version: "1.0.0", path: "/log/" };
const place = { base_url: "http://plugin.test", http_versions: "1.1,2" };

describe("offerToWire", () => {
  it("says what is offered, and where the plugin is", () => {
    expect(offerToWire(offer, place)).toEqual({
      serviceType: "logger",
      version: "1.0.0",
      endpointPath: "/log/",
      metadata: place,
      instanceKey: "",
    });
  });

  it("takes an offer's own place, of which nothing else is known", () => {
    expect(offerToWire({ ...offer, baseUrl: "http://other.test" }, place).metadata).toEqual({
      base_url: "http://other.test",
    });
    expect(offerToWire({ ...offer, baseUrl: undefined }, place).metadata).toEqual(place);
  });

  it.each([
    { weight: 0, text: "0" },
    { weight: 12.5, text: "12.500000" },
    { weight: 1e-7, text: "0.000000" },
    { weight: 100, text: "100" },
  ])("writes the weight $weight as hosts read it", ({ weight, text }) => {
    expect(offerToWire({ ...offer, weight, metadata: { zone: "a" } }, {}).metadata).toEqual({
      zone: "a",
      weight: text,
    });
  });

  it("asks for a lease, and shows the instance key", () => {
    const wire = offerToWire({ ...offer, leaseMs: 1_500, instanceKey: "k" }, {});
    expect(wire).toMatchObject({ lease: { seconds: 1n, nanos: 500_000_000 }, instanceKey: "k" });
  });
});

describe("checkOffer", () => {
  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses the lease %d", (leaseMs) => {
    expect(() => checkOffer({ ...offer, leaseMs })).toThrow(/^leaseMs must be/);
  });

  it.each([-1, 100.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses the weight %d", (weight) => {
    expect(() => checkOffer({ ...offer, weight })).toThrow(/^weight must be/);
  });

  it("takes what has neither", () => {
    expect(() => checkOffer({ ...offer, leaseMs: undefined, weight: undefined })).not.toThrow();
  });
});
