"""Talks to a new cluster with Python's grpcio and prints what it got: docs/transcripts/grpcio.txt.

Usage: grpcio_transcript.py PORT OTHER_PORT, the ports for gRPC of two of its nodes.
"""

import queue
import re
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

import grpcio_stubs

kv, stubs = grpcio_stubs.load()
SECONDS = 20


def text(message):
    """A message on one line; versions differ from run to run where leaders change, so they are only said to be there."""
    if message.DESCRIPTOR.fields_by_name.get("version") and message.version:
        message.version = 1
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in value if field.is_repeated else [value]:
            text(inner)
    words = " ".join(str(message).split())
    return words or "(empty)"


def show(call, message):
    print(f">>> {call}\n{text(message)}")


def refused(call, action):
    try:
        action()
    except grpc.RpcError as error:
        print(f">>> {call}\n{error.code().name}: {re.sub('version [0-9]+', 'version …', error.details())}")
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                print(f"reason {info.reason}, domain {info.domain}, retryable {info.metadata['retryable']}")
    else:
        raise SystemExit(f"{call} was not refused")


def keys(node, other):
    print("# Keys")
    show("Put greeting hello", node.Put(kv.PutRequest(key=b"greeting", value=b"hello"), timeout=SECONDS))
    show("Get greeting, of another node", other.Get(kv.GetRequest(key=b"greeting"), timeout=SECONDS))
    show("Get greeting without its value", other.Get(kv.GetRequest(key=b"greeting", without_value=True), timeout=SECONDS))
    show("Put greeting, with the previous value",
         node.Put(kv.PutRequest(key=b"greeting", value=b"\x00\xff", return_previous=True), timeout=SECONDS))
    show("Get none", node.Get(kv.GetRequest(key=b"none"), timeout=SECONDS))
    show("Increment n", node.Increment(kv.IncrementRequest(key=b"n"), timeout=SECONDS))
    show("Increment n by -3", node.Increment(kv.IncrementRequest(key=b"n", by=-3), timeout=SECONDS))
    found = node.Put(kv.PutRequest(key=b"short", value=b"x", expiry=kv.Expiry(after_milliseconds=60_000)), timeout=SECONDS)
    print(f">>> Put short for a minute\nexpires: {found.expires_at_milliseconds > 0}")
    show("Delete greeting", node.Delete(kv.DeleteRequest(key=b"greeting", return_previous=True), timeout=SECONDS))
    show("Delete greeting again", node.Delete(kv.DeleteRequest(key=b"greeting"), timeout=SECONDS))


def errors(node):
    print("# Errors")
    refused("Put without a key", lambda: node.Put(kv.PutRequest(value=b"v"), timeout=SECONDS))
    refused("Get of a key that is too long", lambda: node.Get(kv.GetRequest(key=b"k" * 70_000), timeout=SECONDS))
    refused("Put new, only where it is present", lambda: node.Put(
        kv.PutRequest(key=b"new", value=b"v", condition=kv.Condition(present=True)), timeout=SECONDS))
    node.Put(kv.PutRequest(key=b"word", value=b"x"), timeout=SECONDS)
    refused("Increment of what is no number", lambda: node.Increment(kv.IncrementRequest(key=b"word"), timeout=SECONDS))
    refused("a message over the limit", lambda: node.Put(kv.PutRequest(key=b"k", value=b"v" * (8 << 20)), timeout=SECONDS))
    refused("a deadline that has passed", lambda: node.Get(kv.GetRequest(key=b"n"), timeout=0))


def batches(node):
    print("# Batches")
    operation = kv.BatchRequest.Operation
    show("a batch", node.Batch(kv.BatchRequest(
        conditions=[kv.BatchRequest.Check(key=b"{t}a", condition=kv.Condition(absent=True))],
        operations=[operation(put=kv.PutRequest(key=b"{t}a", value=b"1")),
                    operation(increment=kv.IncrementRequest(key=b"{t}a", by=41)),
                    operation(append=kv.AppendRequest(key=b"{t}b", suffix=b"xyz")),
                    operation(expire=kv.ExpireRequest(key=b"{t}b")),
                    operation(get=kv.GetRequest(key=b"{t}a")),
                    operation(delete=kv.DeleteRequest(key=b"{t}b"))]), timeout=SECONDS))
    refused("a batch whose condition does not hold", lambda: node.Batch(kv.BatchRequest(
        conditions=[kv.BatchRequest.Check(key=b"{t}a", condition=kv.Condition(absent=True))],
        operations=[operation(put=kv.PutRequest(key=b"{t}a", value=b"2"))]), timeout=SECONDS))
    refused("a batch of several slots", lambda: node.Batch(kv.BatchRequest(
        operations=[operation(put=kv.PutRequest(key=key, value=b"2")) for key in (b"a", b"b")]), timeout=SECONDS))


def scans(node, other):
    print("# Listings")
    for number in range(2_500):
        if number % 500 == 0:
            print(f"put scan-{number:04} …")
        node.Put(kv.PutRequest(key=b"scan-%04d" % number, value=b"v"), timeout=SECONDS)

    def rows(**fields):
        return [row for page in other.Scan(kv.ScanRequest(prefix=b"scan-", **fields), timeout=SECONDS) for row in page.rows]

    found = rows()
    print(f">>> Scan scan-\n{len(found)} rows, in order: {[row.key for row in found] == sorted(row.key for row in found)}")
    found = rows(limit=3, reverse=True, keys_only=True, end=b"scan-2000")
    print(f">>> Scan scan-, three before scan-2000, backwards, without values\n{[(row.key, row.value) for row in found]}")


def once(node, other):
    print("# Writes that take effect once")
    token = (("idempotency-key", "order-7"),)
    for one in (node, other):
        show("Increment paid, with a token", one.Increment(kv.IncrementRequest(key=b"paid"), metadata=token, timeout=SECONDS))
    session = node.OpenSession(kv.OpenSessionRequest(), timeout=SECONDS).session
    stamp = (("kv-session", str(session)), ("kv-sequence", "1"))
    for one in (node, other):
        show("Increment sent, in a session", one.Increment(kv.IncrementRequest(key=b"sent"), metadata=stamp, timeout=SECONDS))
    show("KeepSession", other.KeepSession(kv.KeepSessionRequest(session=session), timeout=SECONDS))
    show("EndSession", other.EndSession(kv.EndSessionRequest(session=session), timeout=SECONDS))
    refused("KeepSession of one that ended", lambda: node.KeepSession(kv.KeepSessionRequest(session=session), timeout=SECONDS))


def pipeline(node):
    print("# A pipeline")
    call = kv.PipelineRequest.Call
    outgoing = queue.SimpleQueue()
    answers = node.Pipeline(iter(outgoing.get, None), timeout=SECONDS)
    for start in range(0, 1_000, 100):
        outgoing.put(kv.PipelineRequest(calls=[
            call(id=number, put=kv.PutRequest(key=b"pipe-%d" % (number % 10), value=b"%d" % number))
            for number in range(start, start + 100)]))
    found = {}

    def read(until):
        while len(found) < until:
            found.update({answer.id: answer for answer in next(answers).answers})

    read(1_000)
    print(f">>> a thousand puts\n{sum(found[number].HasField('put') for number in range(1_000))} done")
    # What follows reads what was written.
    outgoing.put(kv.PipelineRequest(calls=[
        call(id=5_000, get=kv.GetRequest(key=b"pipe-7")),
        call(id=5_001, put=kv.PutRequest(value=b"no key")),
        call(id=5_002),
        call(id=5_003, increment=kv.IncrementRequest(key=b"piped"), once=kv.Once(token=b"t")),
        call(id=5_004, batch=kv.BatchRequest(operations=[
            kv.BatchRequest.Operation(get=kv.GetRequest(key=b"pipe-1"))]))]))
    outgoing.put(None)
    read(1_005)
    for number in range(5_000, 5_005):
        show(f"call {number}", found[number])


def standard(channel):
    print("# Health and reflection")
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "kv.v1.KV"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
        print(f">>> Check {service!r}\n{health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}")
    refused("Check of another", lambda: health.Check(health_pb2.HealthCheckRequest(service="x"), timeout=SECONDS))
    watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    print(f">>> Watch\n{health_pb2.HealthCheckResponse.ServingStatus.Name(next(watch).status)}")
    watch.cancel()
    database = ProtoReflectionDescriptorDatabase(channel)
    print(f">>> services\n{list(database.get_services())}")
    service = DescriptorPool(database).FindServiceByName("kv.v1.KV")
    print(f">>> methods of kv.v1.KV\n{[method.name for method in service.methods]}")


def main():
    ports = sys.argv[1:3]
    channels = [grpc.insecure_channel(f"127.0.0.1:{port}") for port in ports]
    node, other = (stubs.KVStub(channel) for channel in channels)
    keys(node, other)
    errors(node)
    batches(node)
    scans(node, other)
    once(node, other)
    pipeline(other)
    standard(channels[0])
    reply, call = node.Get.with_call(kv.GetRequest(key=b"n"), metadata=(("x-request-id", "mine-1"),), timeout=SECONDS)
    print(f">>> x-request-id\n{dict(call.initial_metadata())['x-request-id']}")


main()
