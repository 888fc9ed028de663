export {
  type AuthorityOptions,
  type CertificateAuthority,
  type CertificateName,
  type CertificateRequest,
  createCertificateAuthority,
  type IssuedCertificate,
} from "./certificate-authority.ts";
