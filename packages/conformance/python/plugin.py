"""A plugin that provides kv.v1.KVService as "python-kv", over gRPC. It registers itself at HOST_URL, and calls other plugins
through the host for keys "ask:TYPE:KEY". DESCRIPTORS is the folder with the descriptors of the messages."""

import os
import sys
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

pool = descriptor_pool.DescriptorPool()
known = set()
for name in ("host.binpb", "kv.binpb"):
    with open(os.path.join(os.environ["DESCRIPTORS"], name), "rb") as image:
        for file in descriptor_pb2.FileDescriptorSet.FromString(image.read()).file:
            if file.name not in known:
                known.add(file.name)
                pool.Add(file)


def message(name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


class Host:
    """The host, seen from a plugin."""

    def __init__(self, url, own_url):
        self.channel = grpc.insecure_channel(url.removeprefix("http://"))
        self.identity = []
        shaken = self.call(
            "/connectplugin.v1.HandshakeService/Handshake",
            message("connectplugin.v1.HandshakeRequest")(
                core_protocol_version=1,
                app_protocol_version=1,
                magic_cookie_key="CONNECT_PLUGIN",
                magic_cookie_value="d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
                self_id="python-plugin",
                self_version="1.0.0",
            ),
            "connectplugin.v1.HandshakeResponse",
        )
        self.identity = [
            ("x-plugin-runtime-id", shaken.runtime_id),
            ("authorization", f"Bearer {shaken.runtime_token}"),
        ]
        self.call(
            "/connectplugin.v1.ServiceRegistry/RegisterService",
            message("connectplugin.v1.RegisterServiceRequest")(
                service_type="python-kv",
                version="1.0.0",
                endpoint_path="/kv.v1.KVService/",
                metadata={"base_url": own_url, "http_versions": "2"},
            ),
            "connectplugin.v1.RegisterServiceResponse",
        )

    def call(self, path, request, answer):
        method = self.channel.unary_unary(
            path,
            request_serializer=lambda sent: sent.SerializeToString(),
            response_deserializer=message(answer).FromString,
        )
        return method(request, metadata=self.identity, timeout=20)

    def ask(self, service_type, key):
        found = self.call(
            "/connectplugin.v1.ServiceRegistry/DiscoverService",
            message("connectplugin.v1.DiscoverServiceRequest")(service_type=service_type),
            "connectplugin.v1.DiscoverServiceResponse",
        )
        return self.call(
            f"{found.endpoint.endpoint_url}/Get",
            message("kv.v1.GetRequest")(key=key),
            "kv.v1.GetResponse",
        )


values = {}


def get(request, context):
    if request.key.startswith("ask:"):
        _, service_type, key = request.key.split(":", 2)
        return host.ask(service_type, key)
    if request.key == "caller":
        caller = dict(context.invocation_metadata()).get("x-plugin-caller-id", "")
        return message("kv.v1.GetResponse")(value=caller.encode(), found=True)
    return message("kv.v1.GetResponse")(value=values.get(request.key), found=request.key in values)


def put(request, _context):
    values[request.key] = request.value
    return message("kv.v1.PutResponse")()


def handler(function, name):
    return grpc.unary_unary_rpc_method_handler(
        function,
        request_deserializer=message(f"kv.v1.{name}Request").FromString,
        response_serializer=lambda sent: sent.SerializeToString(),
    )


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
methods = {"Get": handler(get, "Get"), "Put": handler(put, "Put")}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("kv.v1.KVService", methods),))
port = server.add_insecure_port("127.0.0.1:" + os.environ["PORT"])
server.start()
url = f"http://127.0.0.1:{port}"
host = Host(os.environ["HOST_URL"], url)
print(f"listens on {url}", flush=True)
server.wait_for_termination()
sys.exit()
