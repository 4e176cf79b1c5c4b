"""Talks to a cluster with redis-py, single and cluster client, and prints what it got: docs/transcripts/redis-py.txt.

Usage: redis_py_transcript.py PORT CLUSTER_PORT, with KV_CA, KV_USER and KV_PASSWORD in the environment for a closed cluster.
"""

import os
import sys

import redis
from redis.cluster import RedisCluster
from redis.exceptions import ResponseError, WatchError


def show(expression, value):
    print(f">>> {expression}\n{value!r}")


def refused(expression, action):
    try:
        action()
    except ResponseError as error:
        print(f">>> {expression}\n{type(error).__name__}: {error}")
    else:
        raise SystemExit(f"{expression} was not refused")


def single(client):
    client.flushall()
    show("set greeting hello, 100 s", client.set("greeting", "hello", ex=100))
    show("get", client.get("greeting"))
    show("ttl is there", 0 < client.ttl("greeting") <= 100)
    show("getrange 1 3", client.getrange("greeting", 1, 3))
    show("setrange", client.setrange("greeting", 0, "J"))
    show("append", client.append("greeting", " world"))
    show("get", client.get("greeting"))
    show("getex persist", client.getex("greeting", persist=True))
    show("ttl", client.ttl("greeting"))
    show("incr, incrby, decr", (client.incr("n"), client.incrby("n", 41), client.decr("n")))
    show("incrbyfloat", client.incrbyfloat("f", 0.1) and client.incrbyfloat("f", 0.2))
    show("mset, mget", (client.mset({"a": 1, "b": 2}), client.mget("a", "b", "none")))
    show("msetnx", (client.msetnx({"{x}1": 1, "{x}2": 2}), client.msetnx({"{x}2": 9, "{x}3": 9})))
    show("rename, copy", (client.rename("{x}1", "{x}4"), client.copy("{x}4", "{x}5")))
    show("exists", client.exists("{x}1", "{x}4", "{x}5"))
    with client.pipeline(transaction=True) as pipe:
        pipe.set("{t}a", 1).incr("{t}a").get("{t}a").get("{t}none")
        show("MULTI … EXEC", pipe.execute())
    with client.pipeline() as pipe:
        pipe.watch("{t}a")
        client.set("{t}a", "changed")
        pipe.multi()
        pipe.set("{t}b", 1)
        try:
            pipe.execute()
        except WatchError:
            print(">>> EXEC after a watched key changed\nWatchError")
        else:
            raise SystemExit("a broken watch went through")
    for number in range(250):
        client.set(f"scan-{number:03}", number)
    found = sorted(client.scan_iter(match="scan-*", count=40))
    show("scan finds", (len(found), found[0], found[-1]))
    show("dbsize", client.dbsize())
    refused("LPUSH", lambda: client.lpush("list", 1))
    refused("SORT", lambda: client.sort("list"))
    session = client.execute_command("KV.SESSION", "OPEN")
    tries = [client.execute_command("KV.SESSION", "DO", session, 1, 1, "INCR", "once") for _ in range(3)]
    show("INCR three times in a session", (tries, client.get("once")))
    show("info", {name: client.info()[name] for name in ("redis_version", "redis_mode", "role")})
    show("type, object encoding", (client.type("n"), client.object("encoding", "n")))
    show("delete", client.delete("a", "b", "none"))


def clustered(client):
    show("set, get", (client.set("cluster-key", "1"), client.get("cluster-key")))
    show("mget of one slot", (client.mset({"{s}1": 1, "{s}2": 2}), client.mget("{s}1", "{s}2")))
    show("keyslot", client.keyslot("foo"))
    for number in range(100):
        client.set(f"c-{number:02}", number)
    show("every key is found", [client.get(f"c-{number:02}") for number in (0, 50, 99)])
    show("delete", client.delete("{s}1", "{s}2"))
    refused("keys of several slots", lambda: client.get_primaries()[0].redis_connection.execute_command("MGET", "a", "b"))


if __name__ == "__main__":
    port, cluster_port = int(sys.argv[1]), int(sys.argv[2])
    closed = {}
    if "KV_CA" in os.environ:
        closed = {
            "ssl": True,
            "ssl_ca_certs": os.environ["KV_CA"],
            "username": os.environ["KV_USER"],
            "password": os.environ["KV_PASSWORD"],
        }
    for protocol in (2, 3):
        print(f"# redis-py, RESP{protocol}")
        single(redis.Redis(port=port, protocol=protocol, decode_responses=True, health_check_interval=5, **closed))
    print("# redis-py, RedisCluster")
    clustered(RedisCluster(host="127.0.0.1", port=cluster_port, decode_responses=True, **closed))
