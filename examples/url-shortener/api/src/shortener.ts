import { randomInt } from "node:crypto";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { LogLine, StorageService } from "@cpg/example-url-shortener-contracts";

const alphabet = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const codeLength = 7;
/** Seven characters of 59: that three codes in a row are taken means that something else is wrong. */
const maxTries = 3;
const maxUrlBytes = 2048;
const timeoutMs = 5_000;

/** Makes codes of URLs and back, with storage and logger somewhere behind the host. */
export interface Shortener {
  /** @throws {ConnectError} `invalid_argument` for what is no http(s) URL, and what storage fails with. */
  shorten(url: string): Promise<string>;
  /** @throws {ConnectError} `not_found` for an unknown code, and what storage fails with. */
  resolve(code: string): Promise<string>;
}

export interface ShortenerParts {
  readonly storage: Client<typeof StorageService>;
  readonly logLine: LogLine;
}

export function createShortener({ storage, logLine }: ShortenerParts): Shortener {
  return {
    async shorten(text) {
      const url = parseUrl(text);
      for (let tries = 1; ; tries++) {
        const code = randomCode();
        try {
          await storage.save({ code, url }, { timeoutMs });
          logLine(`shortened ${url} to ${code}`);
          return code;
        } catch (reason) {
          const taken = ConnectError.from(reason).code === Code.AlreadyExists;
          if (!taken || tries === maxTries) throw reason;
        }
      }
    },
    async resolve(code) {
      const { url } = await storage.find({ code }, { timeoutMs });
      logLine(`resolved ${code}`);
      return url;
    },
  };
}

function randomCode(): string {
  return Array.from({ length: codeLength }, () => alphabet[randomInt(alphabet.length)]).join("");
}

/** The URL in ASCII, as a Location header takes it: without line breaks, other letters percent-encoded. */
function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new ConnectError("url must be an http or https URL", Code.InvalidArgument);
  }
  if (url.href.length > maxUrlBytes) {
    throw new ConnectError(`url must have at most ${maxUrlBytes} bytes`, Code.InvalidArgument);
  }
  return url.href;
}
