"""Runs a program on a terminal of its own and types what comes on standard input, a line after each prompt.

Usage: terminal.py PROMPT PROGRAM ARGUMENT…    The lines' own ends are not typed; everything else is, control characters too.
"""

import os
import pty
import sys


def main(prompt, command):
    lines = sys.stdin.buffer.read().split(b"\n")
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    # A prompt is drawn anew with every key: what counts is one at the end of all that came, with nothing typed behind it.
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        sys.stdout.buffer.write(part.replace(b"\r\n", b"\n"))
        shown = (shown + part)[-4096:]
        if lines and shown.endswith(prompt.encode()):
            os.write(terminal, lines.pop(0))
            shown = b""
    sys.stdout.flush()
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main(sys.argv[1], sys.argv[2:])
