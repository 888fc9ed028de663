import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";

/**
 * gzip and br for a server. A request that cannot be decompressed is its sender's fault, `invalid_argument` as from
 * connect-go; connect-node blames the server.
 */
export const receivedCompression: readonly Compression[] = [compressionGzip, compressionBrotli].map((algorithm) => ({
  ...algorithm,
  async decompress(bytes, readMaxBytes) {
    try {
      return await algorithm.decompress(bytes, readMaxBytes);
    } catch (reason) {
      const error = ConnectError.from(reason);
      if (error.code !== Code.Internal) throw error;
      throw new ConnectError(
        `the message is no ${algorithm.name}: ${error.rawMessage}`,
        Code.InvalidArgument,
        undefined,
        undefined,
        error,
      );
    }
  },
}));
