import { randomInt } from "node:crypto";
import { type Client, Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { LogLine, ShortenerService, StorageService } from "@cpg/example-url-shortener-contracts";

const alphabet = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const codeLength = 7;
/** Seven characters of 59: that three codes in a row are taken means that something else is wrong. */
const maxTries = 3;
const maxUrlBytes = 2048;
const storageTimeoutMs = 5_000;

export interface ShortenerParts {
  readonly storage: Client<typeof StorageService>;
  readonly logLine: LogLine;
}

/** Shortens and resolves, with storage and logger somewhere behind the host. */
export function createShortener({ storage, logLine }: ShortenerParts): ServiceImpl<typeof ShortenerService> {
  return {
    async shorten({ url }) {
      checkUrl(url);
      for (let tries = 1; ; tries++) {
        const code = randomCode();
        try {
          await storage.save({ code, url }, { timeoutMs: storageTimeoutMs });
          logLine(`shortened ${url} to ${code}`);
          return { code };
        } catch (reason) {
          const taken = ConnectError.from(reason).code === Code.AlreadyExists;
          if (!taken || tries === maxTries) throw reason;
        }
      }
    },
    async resolve({ code }) {
      const { url } = await storage.find({ code }, { timeoutMs: storageTimeoutMs });
      logLine(`resolved ${code}`);
      return { url };
    },
  };
}

function randomCode(): string {
  return Array.from({ length: codeLength }, () => alphabet[randomInt(alphabet.length)]).join("");
}

function checkUrl(url: string): void {
  const refuse = (rule: string): never => {
    throw new ConnectError(`url ${rule}`, Code.InvalidArgument);
  };
  if (Buffer.byteLength(url) > maxUrlBytes) refuse(`must have at most ${maxUrlBytes} bytes`);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) refuse("must be an http or https URL");
}
