import { createHash, timingSafeEqual, type X509Certificate } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Peer } from "@cpg/resilience";
import { proveLaunch } from "./launch-proof.ts";

export interface ControlGuardOptions {
  /** Secret that the host knows: handed over at launch, or configured on both sides. At least 32 characters. */
  readonly token?: string | undefined;
  /** Recognises the host by its client certificate, which has been verified. */
  readonly hostCertificate?: ((certificate: X509Certificate) => boolean) | undefined;
  /** Takes every caller for the host. Default false. */
  readonly allowAnyHost?: boolean | undefined;
  /** The listener is a Unix socket in a directory that only this user can enter, made by the launching host. */
  readonly privateSocket?: boolean | undefined;
}

export interface ControlCaller {
  /** What it presents as control token; empty when nothing. */
  readonly token: string;
  readonly peer: Peer | undefined;
}

/** Knows a plugin's own host. */
export interface ControlGuard {
  /** False when `hostCertificate` throws. */
  isHost(caller: ControlCaller): boolean;
  /**
   * @throws {ConnectError} `permission_denied` when the caller is not the plugin's host (cause: what `hostCertificate`
   * threw, if it did).
   */
  requireHost(caller: ControlCaller): void;
  /** Proves to a host that it is talking to whom it gave the token; undefined without one, or for no proper challenge. */
  proveLaunch(challenge: string): string | undefined;
}

const minTokenLength = 32;
const maxTokenLength = 4096;

/** @throws {RangeError} for a token of fewer than 32 or more than 4096 characters. */
export function createControlGuard(options: ControlGuardOptions = {}): ControlGuard {
  const { token, hostCertificate, allowAnyHost = false, privateSocket = false } = options;
  if (token !== undefined && (token.length < minTokenLength || token.length > maxTokenLength)) {
    throw new RangeError(
      `control.token must have from ${minTokenLength} to ${maxTokenLength} characters, has ${token.length}`,
    );
  }
  const expected = token === undefined ? undefined : sha256(token);

  const knowsToken = (presented: string): boolean =>
    expected !== undefined &&
    presented !== "" &&
    presented.length <= maxTokenLength &&
    timingSafeEqual(sha256(presented), expected);
  const hasCertificate = (peer: Peer | undefined): boolean => {
    if (hostCertificate === undefined || !peer?.tls?.authorized) return false;
    const certificate = peer.tls.certificate();
    // Nothing but a clear yes, whatever an untyped predicate returns.
    return certificate !== undefined && hostCertificate(certificate) === true;
  };
  const proves = ({ token: presented, peer }: ControlCaller): boolean =>
    allowAnyHost || (privateSocket && peer?.network === "unix") || knowsToken(presented) || hasCertificate(peer);

  return {
    isHost(caller) {
      try {
        return proves(caller);
      } catch {
        return false;
      }
    },
    requireHost(caller) {
      let cause: unknown;
      try {
        if (proves(caller)) return;
      } catch (error) {
        cause = error;
      }
      throw new ConnectError(
        "only this plugin's own host may do that: it has to send the control_token that both know, or a client " +
          "certificate that the plugin accepts (control.token, control.hostCertificate); a plugin under a host that " +
          "cannot prove itself needs control.allowAnyHost",
        Code.PermissionDenied,
        undefined,
        undefined,
        cause,
      );
    },
    proveLaunch: (challenge) => (token === undefined ? undefined : proveLaunch(token, challenge)),
  };
}

/** Hashed first, so that values of any length are compared in the same time. */
function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
