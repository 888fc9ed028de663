import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TlsMaterial, type TlsReload, type TlsSource, watchTlsFiles } from "@cpg/auth";
import { createCertificateAuthority, type IssuedCertificate } from "@cpg/auth/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const authority = await createCertificateAuthority();
const issue = (commonName: string) => authority.issue({ commonName });
const [first, second] = await Promise.all([issue("first"), issue("second")]);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cpg-tls-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(into: string, { cert, key }: IssuedCertificate): Promise<void> {
  await mkdir(into, { recursive: true });
  await writeFile(join(into, "tls.crt"), cert);
  await writeFile(join(into, "tls.key"), key);
}

/** Waits for the update that brings this certificate. */
async function arrives(source: TlsSource, { cert }: IssuedCertificate): Promise<TlsMaterial> {
  const { promise, resolve } = Promise.withResolvers<TlsMaterial>();
  const stop = source.tls.updates((material) => {
    if (String(material.cert) === cert) resolve(material);
  });
  const material = await promise;
  stop();
  return material;
}

const paths = (root: string) => ({ cert: join(root, "tls.crt"), key: join(root, "tls.key") });
const never = { refreshMs: 0 }; // what is seen, the watch has seen

describe("watchTlsFiles", () => {
  it("sees files that are written over, the key after the certificate", async () => {
    await write(folder, first);
    await using source = await watchTlsFiles({ ...paths(folder), ...never });
    const arrived = arrives(source, second);
    await write(folder, second);
    expect(String((await arrived).key)).toBe(second.key);
  });

  it("sees files that are moved into their place", async () => {
    await write(folder, first);
    await write(join(folder, "new"), second);
    await using source = await watchTlsFiles({ ...paths(folder), ...never });
    const arrived = arrives(source, second);
    await rename(join(folder, "new/tls.crt"), join(folder, "tls.crt"));
    await rename(join(folder, "new/tls.key"), join(folder, "tls.key"));
    await arrived;
  });

  it("sees a link to their folder that is replaced, as Kubernetes does it", async () => {
    await write(join(folder, "..1"), first);
    await write(join(folder, "..2"), second);
    await symlink("..1", join(folder, "..data"));
    for (const name of ["tls.crt", "tls.key"]) await symlink(`..data/${name}`, join(folder, name));
    await using source = await watchTlsFiles({ ...paths(folder), ...never });
    const arrived = arrives(source, second);
    await symlink("..2", join(folder, "..data_tmp"));
    await rename(join(folder, "..data_tmp"), join(folder, "..data"));
    await arrived;
  });

  it("keeps what it has when a file becomes bad, reports it, and recovers", async () => {
    await write(folder, first);
    const refused = Promise.withResolvers<TlsReload>();
    const onReload = (reload: TlsReload) => reload.kind === "refused" && refused.resolve(reload);
    await using source = await watchTlsFiles({ ...paths(folder), ...never, onReload });
    await writeFile(join(folder, "tls.crt"), "half a certif");
    expect(await refused.promise).toMatchObject({ kind: "refused", error: expect.any(Error) });
    expect(String(source.tls.cert)).toBe(first.cert);
    const arrived = arrives(source, second);
    await write(folder, second);
    await arrived;
  });

  it("takes several authorities and revocation lists", async () => {
    await write(folder, first);
    const crl = await authority.revoke([second]);
    await writeFile(join(folder, "ca.crt"), authority.ca);
    await writeFile(join(folder, "ca.crl"), crl);
    const ca = [join(folder, "ca.crt"), join(folder, "ca.crt")];
    await using source = await watchTlsFiles({ ...paths(folder), ca, crl: join(folder, "ca.crl"), ...never });
    expect([source.tls.ca, source.tls.crl].flat().map(String)).toEqual([authority.ca, authority.ca, crl]);
  });

  it("fails to begin without files, and with one that is not there, naming it", async () => {
    await expect(watchTlsFiles({})).rejects.toThrow("watchTlsFiles needs at least one of cert, key, ca and crl");
    await expect(watchTlsFiles({ cert: join(folder, "none.crt") })).rejects.toThrow(/none\.crt/);
  });
});
