"""Relays in front of the nodes' peer ports, so that the links between nodes can be cut, one way too, and made slow.

Whoever connects to a node connects to its relay. Which node that is follows from the process that owns the connection. What is cut
is held back and not lost, as it is with TCP; it goes on when the link heals.
"""

import asyncio
import os
import threading


def owner_of_port(port, pids):
    """Which of these processes owns the local end of a connection at this port."""
    inode = None
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if len(words) > 9 and words[1].endswith(f":{port:04X}"):
                inode = words[9]
                break
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    for number, pid in pids.items():
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                try:
                    if os.readlink(f"/proc/{pid}/fd/{name}") == wanted:
                        return number
                except OSError:
                    continue
        except OSError:
            continue
    return None


class Links:
    """All relays, in a thread of their own."""

    def __init__(self, pids):
        # Asked for the processes by node.
        self.pids = pids
        self.cuts = set()
        self.delays = {}
        self.ports = {}
        self.passed = 0
        self.loop = asyncio.new_event_loop()
        self.changed = None
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def relay(self, node, target):
        """Makes the relay of a node, whose own port is `target`; returns the port of the relay."""
        async def listen():
            server = await asyncio.start_server(lambda r, w: self.accept(node, target, r, w), "127.0.0.1", 0)
            return server.sockets[0].getsockname()[1]
        self.ports[node] = self.call(listen())
        return self.ports[node]

    def cut(self, source, target):
        self.cuts.add((source, target))

    def delay(self, source, target, seconds):
        self.delays[(source, target)] = seconds

    def heal(self):
        self.cuts.clear()
        self.delays.clear()

    async def accept(self, node, target, reader, writer):
        source = owner_of_port(writer.get_extra_info("peername")[1], self.pids())
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self.carry((source, node), reader, far_writer), self.carry((node, source), far_reader, writer))

    async def carry(self, link, reader, writer):
        try:
            while True:
                data = await reader.read(1 << 16)
                if not data:
                    break
                if self.delays.get(link):
                    await asyncio.sleep(self.delays[link])
                while link in self.cuts:
                    await asyncio.sleep(0.01)
                writer.write(data)
                self.passed += len(data)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
