"""Writes to a cluster with Python's grpcio while a node dies, then looks whether everything that was answered is there.

Usage: grpcio_failover.py PORT…, the ports for gRPC of all nodes. Prints "writing" when the first writes are answered; ends when
writes succeeded after some had failed, or all nodes kept answering for a while.
"""

import sys
import time

import grpc

import grpcio_stubs

kv, stubs = grpcio_stubs.load()


def main():
    nodes = [stubs.KVStub(grpc.insecure_channel(f"127.0.0.1:{port}")) for port in sys.argv[1:]]
    answered, failures, served_after = {}, 0, 0
    number, until = 0, time.monotonic() + 40
    while time.monotonic() < until and served_after < 200:
        key, value = b"key-%d" % (number % 100), b"%d" % number
        token = (("idempotency-key", f"write-{number}"),)
        deadline = time.monotonic() + 30
        while True:
            try:
                # The same write, by its token, at one node after the other until one answers.
                nodes[(number + failures) % len(nodes)].Put(
                    kv.PutRequest(key=key, value=value), metadata=token, timeout=5)
                break
            except grpc.RpcError as error:
                failures += 1
                if time.monotonic() > deadline:
                    raise SystemExit(f"no node takes a write: {error.code().name} {error.details()}") from None
                time.sleep(0.05)
        answered[key] = value
        number += 1
        served_after += 1 if failures else 0
        if number == 50:
            print("writing", flush=True)
    for key, value in answered.items():
        for turn in range(100):
            try:
                found = nodes[turn % len(nodes)].Get(kv.GetRequest(key=key), timeout=5)
                break
            except grpc.RpcError:
                time.sleep(0.05)
        else:
            raise SystemExit(f"{key} cannot be read")
        if found.value != value:
            raise SystemExit(f"{key} is {found.value}, {value} was answered")
    print(f"{number} writes, {failures} failures")
    print("nothing is lost")


main()
