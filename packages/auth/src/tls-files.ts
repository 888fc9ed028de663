import { type FSWatcher, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { systemClock } from "@cpg/resilience";
import type { TlsMaterial } from "./tls-material.ts";
import { createTlsSource, type TlsSource, type TlsSourceOptions } from "./tls-source.ts";

export interface TlsFilesOptions extends Omit<TlsSourceOptions, "load"> {
  /** PEM: the certificate, with the intermediates that lead to the authority. */
  readonly cert?: string | undefined;
  /** PEM. */
  readonly key?: string | undefined;
  /** PEM: one or more authorities in each. */
  readonly ca?: string | readonly string[] | undefined;
  /** PEM: revocation lists, one for each authority; one or more in each. */
  readonly crl?: string | readonly string[] | undefined;
  /** Of the key. */
  readonly passphrase?: string | undefined;
}

/** A certificate and its key are written one after the other: how long after the first change they are read, in ms. */
const settleMs = 50;

/**
 * TLS material from files that are watched, by their folders: a file that is replaced, also by a symbolic link as
 * Kubernetes does it, is read soon after; where the system does not tell, within `refreshMs`. A certificate whose key has
 * not been written yet is refused as any other bad file, and read again with the next change.
 * @throws {TypeError} when no file is named. {Error} of Node when one cannot be read, and as `createTlsSource`.
 * @example
 * await using files = await watchTlsFiles({ cert: "tls.crt", key: "tls.key", ca: "ca.crt" });
 * await serve({ plugins, impls, tls: { ...files.tls, requestCert: true } });
 */
export async function watchTlsFiles(options: TlsFilesOptions): Promise<TlsSource> {
  const { cert, key, passphrase, clock = systemClock, refreshMs, onReload } = options;
  const ca = [options.ca ?? []].flat();
  const crl = [options.crl ?? []].flat();
  const files = [cert, key, ...ca, ...crl].filter((file) => file !== undefined);
  if (files.length === 0) throw new TypeError("watchTlsFiles needs at least one of cert, key, ca and crl");
  const readAll = (paths: readonly string[]) => Promise.all(paths.map((path) => readFile(path)));
  const load = async (): Promise<TlsMaterial> => ({
    ...(cert === undefined ? {} : { cert: await readFile(cert) }),
    ...(key === undefined ? {} : { key: await readFile(key) }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ca.length === 0 ? {} : { ca: await readAll(ca) }),
    ...(crl.length === 0 ? {} : { crl: await readAll(crl) }),
  });
  const source = await createTlsSource({ load, refreshMs, onReload, clock });
  const closed = new AbortController();
  let settling = false;
  const onChange = (): void => {
    if (settling) return;
    settling = true;
    clock.sleep(settleMs, closed.signal).then(
      () => {
        settling = false;
        void source.reload();
      },
      () => {}, // closed
    );
  };
  const stop = watchFiles(files, onChange);
  const close = async (): Promise<void> => {
    stop();
    closed.abort("the files are closed");
    await source.close();
  };
  return {
    get tls() {
      return source.tls;
    },
    reload: () => source.reload(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Watches the folders, because a file that is replaced is another file. Returns how to stop. */
function watchFiles(files: readonly string[], onChange: () => void): () => void {
  const namesByFolder = Map.groupBy(files, (file) => dirname(file));
  const watchers: FSWatcher[] = [];
  for (const [folder, paths] of namesByFolder) {
    const names = new Set(paths.map((path) => basename(path)));
    try {
      const watcher = watch(folder, { persistent: false }, (_, name) => {
        // Kubernetes replaces "..data", the folder that its files are links into.
        if (name === null || names.has(name) || name.startsWith("..")) onChange();
      });
      watcher.on("error", () => watcher.close());
      watchers.push(watcher);
    } catch {
      // No watching here, such as on some network file systems: `refreshMs` it is.
    }
  }
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}
