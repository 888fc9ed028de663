export { WhoAmIService } from "../gen/cpg/auth/testing/v1/who_am_i_pb.ts";
export {
  type AuthorityOptions,
  type CertificateAuthority,
  type CertificateName,
  type CertificateRequest,
  createCertificateAuthority,
  type IssuedCertificate,
} from "./certificate-authority.ts";
