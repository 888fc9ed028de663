import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  MethodDescriptorProtoSchema,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

/**
 * Where a service, a method or one of its options stands: `file:line`, counted from 1. `option` is the option's path below
 * the options message: field numbers, and the index after a repeated one. What stands closest around it is taken when the
 * compiler did not note the option itself, as in options written in braces; `file` alone without any notes.
 */
export function sourcePosition(desc: DescService | DescMethod, option: readonly number[] = []): string {
  const file = fileOf(desc);
  const path = [...pathOf(desc), ...(option.length > 0 ? [optionsNumber(desc), ...option] : [])];
  let closest: { readonly length: number; readonly line: number } | undefined;
  for (const location of file.proto.sourceCodeInfo?.location ?? []) {
    const { length } = location.path;
    if (length > path.length || (closest !== undefined && length <= closest.length)) continue;
    if (location.path.every((part, index) => part === path[index])) {
      closest = { length, line: (location.span[0] ?? 0) + 1 };
    }
  }
  return closest === undefined || closest.length === 0 ? file.proto.name : `${file.proto.name}:${closest.line}`;
}

function fileOf(desc: DescService | DescMethod): DescFile {
  return desc.kind === "service" ? desc.file : desc.parent.file;
}

function pathOf(desc: DescService | DescMethod): number[] {
  if (desc.kind === "service") {
    return [FileDescriptorProtoSchema.field.service.number, desc.file.proto.service.indexOf(desc.proto)];
  }
  return [
    ...pathOf(desc.parent),
    ServiceDescriptorProtoSchema.field.method.number,
    desc.parent.proto.method.indexOf(desc.proto),
  ];
}

function optionsNumber(desc: DescService | DescMethod): number {
  return desc.kind === "service"
    ? ServiceDescriptorProtoSchema.field.options.number
    : MethodDescriptorProtoSchema.field.options.number;
}
