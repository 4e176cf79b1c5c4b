"""Sends the commands of Tests/Fixtures/redis-examples.txt to a server and prints the file with that server's answers.

Usage: redis_examples.py PORT FILE

A block begins with `## COMMAND`, on an empty server. A line is a command as a shell has it; below it, indented, is the answer:
`+OK`, `:1`, `nil`, `"bytes"`, `-ERR …`, arrays in brackets.
"""

import shlex
import socket
import sys


def read(stream):
    line = stream.readline().rstrip(b"\r\n").decode()
    kind, rest = line[:1], line[1:]
    if kind in "+:-":
        return line
    count = int(rest)
    if count < 0:
        return "nil"
    if kind == "$":
        data = stream.read(count + 2)[:-2]
        text = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in data)
        return f'"{text}"'
    if kind == "*":
        return "[" + ", ".join(read(stream) for _ in range(count)) + "]"
    raise SystemExit(f"no answer of RESP2: {line!r}")


def main(port, path):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    stream = connection.makefile("rb")

    def ask(words):
        parts = [word.encode() for word in words]
        connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return read(stream)

    for line in open(path, encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith("    "):
            continue
        print(line)
        if line.startswith("## "):
            answer = ask(["FLUSHALL"])
            if answer != "+OK":
                raise SystemExit(f"FLUSHALL: {answer}")
        elif line and not line.startswith("#"):
            print("    " + ask(shlex.split(line)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
