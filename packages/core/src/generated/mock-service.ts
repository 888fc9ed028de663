import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";

/** The methods of `Impl` that a test double has; the others answer `unimplemented`. */
export type MockMethods<Impl> = { readonly [Method in keyof Impl]?: Impl[Method] | undefined };

/**
 * A test double of a service: it serves `methods`, and answers `unimplemented` with the name of the method to a call of
 * any other. Methods are called on `methods`, so a double may keep state there.
 * @throws {TypeError} naming the method that is no function.
 */
export function mockService<Service extends DescService>(
  service: Service,
  methods: MockMethods<ServiceImpl<Service>>,
): ServiceImpl<Service> {
  const double: Record<string, unknown> = {};
  for (const method of service.methods) {
    const given: unknown = Reflect.get(methods, method.localName);
    if (given !== undefined && typeof given !== "function") {
      throw new TypeError(`${service.name}.${method.localName} must be a function, got ${typeof given}`);
    }
    double[method.localName] = given === undefined ? unimplemented(method) : given.bind(methods);
  }
  return double as ServiceImpl<Service>;
}

/** A method that fails as its kind does: by a promise, or when the stream is read. */
function unimplemented(method: DescMethod): () => unknown {
  const failure = () =>
    new ConnectError(`${method.parent.typeName}.${method.name} is not implemented by this mock`, Code.Unimplemented);
  switch (method.methodKind) {
    case "unary":
    case "client_streaming":
      return () => Promise.reject(failure());
    case "server_streaming":
    case "bidi_streaming":
      return () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(failure()) }) });
  }
}
