/** Looks for secrets in text. */
export interface SecretScanner {
  /** Adds one. Twice is once. */
  add(secret: string): void;
  /** A piece of a secret, in any of the forms, that stands in this text. Undefined: there is none. */
  find(text: string): string | undefined;
}

/** So much of a secret in a row is a leak: as much as errors of JSON.parse show of what they could not read. */
const pieceLength = 10;

/** Finds secrets as they are, percent-encoded, and in hexadecimal, base64 and base64url, also from the middle of a text. */
export function createSecretScanner(): SecretScanner {
  const known = new Set<string>();
  const pieces = new Set<string>();
  const short = new Set<string>();
  return {
    add(secret) {
      if (known.has(secret)) return;
      known.add(secret);
      for (const form of formsOf(secret)) {
        if (form.length < pieceLength) short.add(form);
        for (let at = 0; at + pieceLength <= form.length; at++) pieces.add(form.slice(at, at + pieceLength));
      }
    },
    find(text) {
      for (const form of short) if (text.includes(form)) return form;
      for (let at = 0; at + pieceLength <= text.length; at++) {
        const piece = text.slice(at, at + pieceLength);
        if (pieces.has(piece)) return piece;
      }
      return undefined;
    },
  };
}

function formsOf(secret: string): string[] {
  const encoded = (["base64", "base64url"] as const).flatMap((encoding) =>
    ["", " ", "  "].map((before) => {
      // What stands before it moves the bits; without the characters that it shares with its neighbours.
      const whole = Buffer.from(before + secret).toString(encoding);
      return whole.slice(before.length === 0 ? 0 : before.length + 1).replace(/.?=*$/, "");
    }),
  );
  const hex = Buffer.from(secret).toString("hex");
  return [secret, encodeURIComponent(secret), hex, hex.toUpperCase(), ...encoded];
}
