"""Looks whether a secured cluster is closed over gRPC, with Python's grpcio.

Usage: grpcio_secure.py PORT CA USER PASSWORD TOKEN: a user who may read and write app/ alone, and a token of it.
"""

import base64
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import grpcio_stubs

kv, stubs = grpcio_stubs.load()
SECONDS = 20


details = ""


def code(action):
    global details
    details = ""
    try:
        action()
    except grpc.RpcError as error:
        details = error.details()
        return error.code().name
    return "OK"


def expect(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}: {found}, expected {wanted}; {details}")


def main():
    port, authority, user, password, token = sys.argv[1:6]
    address = f"127.0.0.1:{port}"
    with open(authority, "rb") as file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))
    node = stubs.KVStub(channel)

    def basic(name, secret):
        return (("authorization", "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()),)

    def get(key, metadata=None):
        return lambda: node.Get(kv.GetRequest(key=key), metadata=metadata, timeout=SECONDS)

    ours, bearer = basic(user, password), (("authorization", f"Bearer {token}"),)
    # Who is refused hears so before the message has come.
    large = kv.PutRequest(key=b"app/1", value=bytes(3 << 20))
    expect("nobody", code(lambda: node.Put(large, timeout=SECONDS)), "UNAUTHENTICATED")
    expect("a wrong password", code(lambda: node.Put(large, metadata=basic(user, "wrong-one"), timeout=SECONDS)), "UNAUTHENTICATED")
    expect("no credentials", code(get(b"app/1", (("authorization", "Digest x"),))), "UNAUTHENTICATED")
    expect("the user", code(get(b"app/1", ours)), "OK")
    expect("a token", code(get(b"app/1", bearer)), "OK")
    expect("a wrong token", code(get(b"app/1", (("authorization", "Bearer kv1.x.y"),))), "UNAUTHENTICATED")
    expect("another's key", code(get(b"other", ours)), "PERMISSION_DENIED")
    put = kv.PutRequest(key=b"other", value=b"v")
    operation = kv.BatchRequest.Operation
    batch = kv.BatchRequest(operations=[operation(get=kv.GetRequest(key=b"app/{other}")), operation(put=put)])
    batch.operations[1].put.key = b"x/{other}"
    expect("a batch", code(lambda: node.Batch(batch, metadata=ours, timeout=SECONDS)), "PERMISSION_DENIED")
    expect("a token's write", code(lambda: node.Put(
        put, metadata=ours + (("idempotency-key", "x"),), timeout=SECONDS)), "PERMISSION_DENIED")

    def listed(metadata):
        return [row.key for page in node.Scan(kv.ScanRequest(), metadata=metadata, timeout=SECONDS) for row in page.rows]

    node.Put(kv.PutRequest(key=b"app/1", value=b"v"), metadata=ours, timeout=SECONDS)
    expect("a listing by nobody", code(lambda: listed(None)), "UNAUTHENTICATED")
    expect("a listing", all(key.startswith(b"app/") for key in listed(ours)), True)
    call = kv.PipelineRequest.Call
    requests = [kv.PipelineRequest(calls=[call(id=1, put=put), call(id=2, get=kv.GetRequest(key=b"app/1"))])]
    answers = {answer.id: answer for message in node.Pipeline(iter(requests), metadata=ours, timeout=SECONDS)
               for answer in message.answers}
    expect("a pipeline's refusal", (answers[1].error.code, answers[1].error.reason), (7, "PERMISSION_DENIED"))
    expect("a pipeline's answer", answers[2].get.value, b"v")
    expect("a pipeline by nobody", code(lambda: list(node.Pipeline(iter(requests), timeout=SECONDS))), "UNAUTHENTICATED")
    # Load balancers have no password.
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    expect("health", health.status, health_pb2.HealthCheckResponse.SERVING)
    expect("reflection by nobody", code(lambda: ProtoReflectionDescriptorDatabase(channel).get_services()), "UNAUTHENTICATED")
    clear = stubs.KVStub(grpc.insecure_channel(address))
    expect("in the clear", code(lambda: clear.Get(kv.GetRequest(key=b"app/1"), timeout=5)), "UNAVAILABLE")
    print("closed")


main()
