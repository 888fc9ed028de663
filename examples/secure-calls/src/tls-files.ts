import { join } from "node:path";
import { type TlsSource, watchTlsFiles } from "@cpg/auth";

/** Where the files of one side are. */
export function tlsPaths(folder: string, side: string) {
  return { cert: join(folder, `${side}.pem`), key: join(folder, `${side}-key.pem`), ca: join(folder, "ca.pem") };
}

/** Certificate, key and authority of one side, read again when they change. What was bad is told on stderr. */
export function openTlsFiles(folder: string, side: string, onApplied: () => void = () => {}): Promise<TlsSource> {
  return watchTlsFiles({
    ...tlsPaths(folder, side),
    onReload(reload) {
      if (reload.kind === "applied") onApplied();
      if (reload.kind === "refused") console.error(`${side}: keeping the certificate, ${reload.error.message}`);
    },
  });
}
