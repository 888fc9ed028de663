import type { HostExtension } from "@cpg/core";
import { AdminService } from "@cpg/core/gen/cpg/admin/v1/admin_pb";
import { type AdminOptions, resolveAdminOptions } from "./admin-options.ts";
import { type AdminServiceParts, createAdminService } from "./create-admin-service.ts";
import { createPermit, type PermitParts } from "./create-permit.ts";

export type AdminExtensionParts = Pick<AdminServiceParts, "platform"> & Pick<PermitParts, "onError">;

/** Serves `cpg.admin.v1.AdminService`. @throws {TypeError} {RangeError} for bad options, naming the option. */
export function adminExtension(options: AdminOptions, { platform, onError }: AdminExtensionParts): HostExtension {
  const { authorize, operations, maxWatches } = resolveAdminOptions(options);
  return {
    name: "admin",
    install: ({ clock }) => ({
      routes(router) {
        const permit = createPermit({ authorize, clock, onError });
        router.service(AdminService, createAdminService({ permit, platform, operations, maxWatches }));
      },
    }),
  };
}
