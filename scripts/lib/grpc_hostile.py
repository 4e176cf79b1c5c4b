"""Does to a node's gRPC port what nobody should, with frames made by hand, and looks whether it serves on.

Usage: grpc_hostile.py PORT HTTP_PORT: of a node with grpc.idle_timeout, grpc.message_timeout and grpc.write_timeout of about a
second and grpc.calls=128. Prints a line for each attack; only the standard library is used.
"""

import random
import socket
import struct
import sys
import time
import urllib.request

PORT, HTTP_PORT = int(sys.argv[1]), int(sys.argv[2])
SECONDS = 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
MEMORY_MAX = 96 << 20


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name, value):
    """A header that is not indexed and not compressed."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value.encode())]) + value.encode()


def head(method):
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", f"/kv.v1.KV/{method}"), (":authority", "x"),
             ("te", "trailers"), ("content-type", "application/grpc")]
    return b"".join(field(name, value) for name, value in pairs)


def message(payload):
    return struct.pack(">BI", 0, len(payload)) + payload


GET = message(b"\x0a\x01k")


class Connection:
    """A connection that says hello; `frames` are those that came."""

    def __init__(self, settings=b""):
        self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=SECONDS)
        self.received = b""
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        self.socket.sendall(data)

    def next(self):
        """The next frame: kind, flags, stream, payload; None at the end of the connection."""
        while True:
            if len(self.received) >= 9:
                length = int.from_bytes(self.received[:3], "big")
                if len(self.received) >= 9 + length:
                    kind, flags, stream = self.received[3], self.received[4], struct.unpack(">I", self.received[5:9])[0]
                    payload, self.received = self.received[9:9 + length], self.received[9 + length:]
                    return kind, flags, stream, payload
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not more:
                return None
            self.received += more

    def until(self, *kinds):
        """The next frame of these kinds, or None."""
        while True:
            found = self.next()
            if found is None or found[0] in kinds:
                return found
            if found[0] == SETTINGS and not found[1] & ACK:
                try:
                    self.send(frame(SETTINGS, ACK, 0))
                except ConnectionError:
                    return None

    def call(self, stream, method="Get", payload=GET):
        self.send(frame(HEADERS, END_HEADERS, stream, head(method)) + frame(DATA, END_STREAM, stream, payload))


def serves():
    """One good call on a connection of its own: a DATA frame comes for a call that went well only."""
    connection = Connection()
    connection.call(1)
    found = connection.until(DATA, RST, GOAWAY)
    return found is not None and found[0] == DATA


def closed(sock):
    """Waits until the other side ends the connection."""
    sock.settimeout(SECONDS)
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    return True


def resident():
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP_PORT}/metrics", timeout=SECONDS) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("process_resident_memory_bytes"):
                return float(line.split()[-1])
    raise SystemExit("no process_resident_memory_bytes")


def raw(data):
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=SECONDS)
    try:
        sock.sendall(data)
    except ConnectionError:
        pass
    return closed(sock)


def garbage():
    source = random.Random(7)
    return all(raw(source.randbytes(size)) for size in (1, 24, 1_000, 64 << 10))


def other_protocols():
    return raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") and raw(b"*1\r\n$4\r\nPING\r\n") and raw(b"\x16\x03\x01\x02\0\x01" * 50)


def silence():
    return raw(b"") and raw(PREFACE[:10]) and closed(Connection().socket)


def half_a_message():
    connection = Connection()
    connection.send(frame(HEADERS, END_HEADERS, 1, head("Put")) + frame(DATA, 0, 1, b"\0\0\0\0\x64abc"))
    found = connection.until(RST, HEADERS)
    return found is not None


def no_message():
    connection = Connection()
    connection.send(frame(HEADERS, END_HEADERS, 1, head("Get")))
    return connection.until(RST, HEADERS) is not None


def half_a_message_in_a_pipeline():
    connection = Connection()
    connection.send(frame(HEADERS, END_HEADERS, 1, head("Pipeline")) + frame(DATA, 0, 1, b"\0\0\0\0\x64abc"))
    return connection.until(RST) is not None


def a_gigabyte_declared():
    connection = Connection()
    connection.send(frame(HEADERS, END_HEADERS, 1, head("Put")) + frame(DATA, 0, 1, b"\0\x40\0\0\0" + b"x" * 1_000))
    found = connection.until(RST, HEADERS, GOAWAY)
    return found is not None and found[0] == HEADERS


def no_protobuf():
    connection = Connection()
    connection.call(1, payload=message(b"\xff" * 50))
    found = connection.until(HEADERS, RST, DATA)
    return found is not None and found[0] == HEADERS


def compressed_without_saying_how():
    connection = Connection()
    connection.call(1, payload=b"\x01\0\0\0\x04abcd")
    return connection.until(HEADERS, RST) is not None


def two_messages_in_a_unary_call():
    connection = Connection()
    connection.call(1, payload=GET + GET)
    return connection.until(HEADERS, RST) is not None


def no_such_method():
    connection = Connection()
    connection.call(1, method="Nothing")
    found = connection.until(HEADERS, RST, DATA)
    return found is not None and found[0] == HEADERS


def many_streams():
    """A thousand calls that never end, where 128 may be open: those beyond are refused, or the connection ends."""
    connection = Connection()
    try:
        for number in range(1_000):
            connection.send(frame(HEADERS, END_HEADERS, 2 * number + 1, head("Pipeline")))
    except ConnectionError:
        return True
    found = connection.until(RST, GOAWAY)
    return found is None or found[0] in (RST, GOAWAY)


def rapid_reset():
    connection = Connection()
    try:
        for number in range(5_000):
            connection.send(frame(HEADERS, END_HEADERS, 2 * number + 1, head("Get"))
                            + frame(RST, 0, 2 * number + 1, struct.pack(">I", 8)))
    except ConnectionError:
        return True
    found = connection.until(GOAWAY)
    return found is None or found[0] == GOAWAY


def odd_timeouts():
    """Timeouts that are none are refused; the longest that may be is none to the library either."""
    for text in ("-5S", "", "S", "5", "+5S", "123456789S", "5X", "\u0663S", "1e3m", "9223372036854775807H"):
        connection = Connection()
        headers = head("Get") + field("grpc-timeout", text)
        connection.send(frame(HEADERS, END_HEADERS, 1, headers) + frame(DATA, END_STREAM, 1, GET))
        found = connection.until(HEADERS, DATA, RST, GOAWAY)
        if found is None or found[0] == DATA:
            return False
    for text in ("99999999H", "99999999M", "99999999S", "1n"):
        connection = Connection()
        connection.send(frame(HEADERS, END_HEADERS, 1, head("Get") + field("grpc-timeout", text)) + frame(DATA, END_STREAM, 1, GET))
        if connection.until(HEADERS, DATA, RST, GOAWAY) is None:
            return False
    return True


def endless_headers():
    connection = Connection()
    try:
        connection.send(frame(HEADERS, 0, 1, head("Get")))
        for _ in range(20_000):
            connection.send(frame(CONTINUATION, 0, 1, field("x" * 100, "y" * 100) * 20))
    except (ConnectionError, socket.timeout):
        return True
    return closed(connection.socket)


def pings_without_end():
    connection = Connection()
    try:
        for _ in range(20_000):
            connection.send(frame(PING, 0, 0, b"12345678"))
    except (ConnectionError, socket.timeout):
        return True
    return closed(connection.socket)


def answers_unread():
    """A window of nothing: the answer cannot leave, and the call is ended."""
    connection = Connection(struct.pack(">HI", 4, 0))
    connection.call(1)
    return connection.until(RST, GOAWAY) is not None


def requests_without_reading():
    """Requests with large answers, none of which is read, until no more is taken."""
    connection = Connection(struct.pack(">HI", 4, 1 << 20))
    connection.call(1, "Put", big_put())
    connection.until(DATA, RST, GOAWAY)
    connection.send(frame(HEADERS, END_HEADERS, 3, head("Pipeline")))
    connection.socket.settimeout(2)
    get = b"\x0a\x07\x08\x01\x1a\x03\x0a\x01b"
    try:
        for _ in range(2_000):
            connection.send(frame(DATA, 0, 3, message(get * 20)))
    except (ConnectionError, socket.timeout):
        pass
    return True


def big_put():
    value = b"v" * 15_000
    body = b"\x0a\x01b\x12" + bytes([len(value) & 127 | 128, len(value) >> 7]) + value
    return message(body)


def idle_connections():
    sockets = [socket.create_connection(("127.0.0.1", PORT), timeout=SECONDS) for _ in range(500)]
    found = serves()
    for one in sockets:
        one.close()
    return found


ATTACKS = [garbage, other_protocols, silence, half_a_message, no_message, half_a_message_in_a_pipeline, a_gigabyte_declared,
           no_protobuf, compressed_without_saying_how, two_messages_in_a_unary_call, no_such_method, many_streams, rapid_reset,
           odd_timeouts, endless_headers, pings_without_end, answers_unread, requests_without_reading, idle_connections]


def main():
    setup = Connection()
    setup.call(1, "Put", message(b"\x0a\x01k\x12\x01v"))
    if (setup.until(DATA, RST, GOAWAY) or [None])[0] != DATA:
        raise SystemExit("the node does not serve")
    before = resident()
    for attack in ATTACKS:
        name = attack.__name__.replace("_", " ")
        try:
            went_well = attack()
        except socket.timeout:
            raise SystemExit(f"{name}: nothing happened within {SECONDS} s") from None
        if not went_well:
            raise SystemExit(f"{name}: not what was expected")
        if not serves():
            raise SystemExit(f"{name}: the node does not serve any more")
        print(f"{name}: withstood")
    time.sleep(1.2)
    grown = resident() - before
    if grown > MEMORY_MAX:
        raise SystemExit(f"the memory grew by {grown / 1e6:.0f} MB")


main()
