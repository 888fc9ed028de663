import { FakeClock } from "@cpg/resilience/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { createCertificateAuthority } from "./testing/certificate-authority.ts";
import type { TlsMaterial } from "./tls-material.ts";
import { createTlsSource, type TlsReload, type TlsSourceOptions } from "./tls-source.ts";

let materials: readonly TlsMaterial[];
beforeAll(async () => {
  const authority = await createCertificateAuthority();
  materials = await Promise.all([1, 2, 3].map((count) => authority.issue({ commonName: `server ${count}` })));
});
const material = (index: number): TlsMaterial => materials[index] ?? {};

/** A source whose next loads the test decides about. */
async function open(options: Partial<TlsSourceOptions> = {}) {
  const clock = new FakeClock();
  const told: TlsReload["kind"][] = [];
  let load: TlsSourceOptions["load"] = () => material(0);
  const source = await createTlsSource({
    load: () => load(),
    onReload: ({ kind }) => told.push(kind),
    clock,
    ...options,
  });
  const applied: TlsMaterial[] = [];
  const stop = source.tls.updates((next) => applied.push(next));
  return {
    clock,
    told,
    source,
    applied,
    stop,
    loadNext(next: TlsSourceOptions["load"]) {
      load = next;
    },
  };
}

describe("createTlsSource", () => {
  it("hands out what it loaded, and applies what is new after refreshMs", async () => {
    const { clock, source, applied, told, loadNext } = await open();
    expect(source.tls).toMatchObject(material(0));
    await clock.advance(60_000);
    expect([applied, told]).toEqual([[], []]);
    loadNext(() => material(1));
    await clock.advance(59_999);
    expect(applied).toEqual([]);
    await clock.advance(1);
    expect([applied, told]).toEqual([[material(1)], ["applied"]]);
    expect(source.tls).toMatchObject(material(1));
    await source.close();
    expect(clock.pending).toBe(0);
  });

  it("keeps what it has when the new cannot be loaded or used, tells of it once, and recovers", async () => {
    const { clock, source, applied, told, loadNext } = await open({ refreshMs: 10 });
    loadNext(() => Promise.reject(new Error("store is down")));
    await clock.advance(30);
    expect(told).toEqual(["refused"]);
    loadNext(() => ({ ...material(1), key: material(2).key }));
    await clock.advance(30);
    expect(told).toEqual(["refused", "refused"]);
    expect([applied, source.tls.cert]).toEqual([[], material(0).cert]);
    loadNext(() => material(1));
    await clock.advance(10);
    expect([applied, told]).toEqual([[material(1)], ["refused", "refused", "applied"]]);
    await source.close();
  });

  it("gives a subscriber that came late what changed since its options were taken", async () => {
    const { source, loadNext } = await open();
    const { updates } = source.tls;
    loadNext(() => material(1));
    await source.reload();
    const late: TlsMaterial[] = [];
    updates((next) => late.push(next));
    expect(late).toEqual([material(1)]);
    await source.close();
  });

  it("tells when one subscriber does not take it; the others have it", async () => {
    const { source, applied, loadNext } = await open();
    source.tls.updates(() => {
      throw new TypeError("tls.cert is too weak");
    });
    loadNext(() => material(1));
    expect(await source.reload()).toMatchObject({ kind: "refused", error: { message: "tls.cert is too weak" } });
    expect(applied).toEqual([material(1)]);
    await source.close();
  });

  it("looks once more when asked during a look, once for all who ask", async () => {
    const { source, loadNext } = await open();
    let looks = 0;
    const gate = Promise.withResolvers<TlsMaterial>();
    loadNext(() => {
      looks++;
      return looks === 1 ? gate.promise : material(2);
    });
    const first = source.reload();
    const more = [source.reload(), source.reload()];
    gate.resolve(material(1));
    expect(await Promise.all([first, ...more])).toEqual(Array(3).fill({ kind: "applied" }));
    expect(looks).toBe(2);
    expect(source.tls.cert).toBe(material(2).cert);
    await source.close();
  });

  it("applies nothing after stop, nor after close, whatever a look under way brings", async () => {
    const { source, applied, stop, told, loadNext } = await open();
    stop();
    loadNext(() => material(1));
    await source.reload();
    expect(applied).toEqual([]);
    const gate = Promise.withResolvers<TlsMaterial>();
    loadNext(() => gate.promise);
    const look = source.reload();
    const closing = source.close();
    gate.resolve(material(2));
    expect(await look).toEqual({ kind: "unchanged" });
    await closing;
    expect(told).toEqual(["applied"]);
  });

  it("never looks by itself with refreshMs 0", async () => {
    const { clock, source } = await open({ refreshMs: 0 });
    expect(clock.pending).toBe(0);
    await source.close();
  });

  it("does not suffer from a listener that throws", async () => {
    const { source, loadNext } = await open({
      onReload() {
        throw new Error("listener");
      },
    });
    loadNext(() => material(1));
    expect(await source.reload()).toEqual({ kind: "applied" });
    await source.close();
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 31])("refuses refreshMs %d", async (refreshMs) => {
    await expect(createTlsSource({ load: () => material(0), refreshMs })).rejects.toThrow(/^refreshMs must be/);
  });

  it("fails to begin with material that cannot be used", async () => {
    await expect(createTlsSource({ load: () => ({ cert: "nonsense" }) })).rejects.toThrow(Error);
  });
});
