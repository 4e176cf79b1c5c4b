"""Clusters of kvnode processes on this machine: what scripts/cluster, scripts/demo and scripts/bench-cluster stand on.

A cluster lives in one directory: cluster.json says what it is made of, nI.pid and nI.log belong to its processes. In the
default directories and without settings of their own, the nodes run from config/; otherwise from files that are written into
the directory. Only the standard library is used.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_DIRECTORY = ROOT / "data"
SINGLE_DIRECTORY = ROOT / "data" / "run-single"
DATA_GROUP = "1"
POLL_SECONDS = 0.02


class ClusterError(Exception):
    """What went wrong, for a person."""


def say(text, stream=sys.stdout):
    print(text, file=stream, flush=True)


def find_program(name):
    """The built program: $KVNODE or $KVCTL, else the release build, else the debug build."""
    given = os.environ.get(name.upper())
    if given:
        if os.access(given, os.X_OK):
            return given
        raise ClusterError(f"{name.upper()}={given} is not a program")
    for build in ("release", "debug"):
        path = ROOT / ".build" / build / name
        if os.access(path, os.X_OK):
            return str(path)
    raise ClusterError(f"{name} is not built yet: type `make build`")


def free_ports(count):
    """Ports that nobody listens on now; held open together so that they differ."""
    sockets = []
    try:
        for _ in range(count):
            one = socket.socket()
            one.bind(("127.0.0.1", 0))
            sockets.append(one)
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def fetch_json(port, path, timeout=1.0):
    """The JSON that a node answers on its HTTP port; None where it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return json.loads(answer.read())
    except (OSError, ValueError, urllib.error.URLError):
        return None


def process_is_alive(pid):
    """Whether the process runs; one that ended and was not yet collected does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state = file.read().rpartition(")")[2].split()[0]
        # The first thread may have ended while others still hold files and locks.
        return state not in ("Z", "X") or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def process_arguments(pid):
    """What a process was started with; nothing where there is none."""
    try:
        return [one for one in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if one]
    except OSError:
        return []


def yaml_text(value):
    return json.dumps(value)


def yaml_lines(tree, depth=0):
    """A nested dictionary as YAML; leaves are text that already is YAML."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield "  " * depth + f"{key}:"
            yield from yaml_lines(value, depth + 1)
        else:
            yield "  " * depth + f"{key}: {value}"


class Node:
    def __init__(self, cluster, record):
        self.cluster = cluster
        self.id = record["id"]
        self.config = record["config"]
        self.data = record["data"]
        self.resp = record["resp"]
        self.http = record["http"]
        # 0 in what was written before there was gRPC.
        self.grpc = record.get("grpc", 0)
        self.peer = record["peer"]
        # Whether it came to a cluster that was there; it names all others when it starts, which it needs until it is a member.
        self.joins = record.get("joins", False)

    def record(self):
        return {key: getattr(self, key) for key in ("id", "config", "data", "resp", "http", "grpc", "peer", "joins")}

    @property
    def pid_file(self):
        return self.cluster.directory / f"n{self.id}.pid"

    @property
    def log_file(self):
        return self.cluster.directory / f"n{self.id}.log"

    @property
    def pid(self):
        """The process that runs this node now; None where there is none."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        arguments = process_arguments(pid)
        # A number may be used again by another program: ours has our configuration among its arguments.
        return pid if process_is_alive(pid) and self.config.encode() in arguments else None

    def launch(self):
        if self.pid:
            return None
        log = open(self.log_file, "ab")
        try:
            process = subprocess.Popen(
                [find_program("kvnode"), "--config", self.config, *self.join_flags()],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        finally:
            log.close()
        self.pid_file.write_text(f"{process.pid}\n")
        # For a moment at its start a program has no arguments that others can see, and `pid` would not know it.
        while process.poll() is None and not process_arguments(process.pid):
            time.sleep(POLL_SECONDS / 20)
        return process

    def join_flags(self):
        others = [node for node in self.cluster.nodes if node.id != self.id] if self.joins else []
        return [word for node in others for word in ("--join", f"127.0.0.1:{node.peer}")]

    def signal(self, number):
        pid = self.pid
        if pid:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return None
        return pid

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/readyz", timeout=1) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def status(self):
        return fetch_json(self.http, "/status")

    def was_removed(self):
        """Whether the cluster removed it, as its data directory or it itself says."""
        try:
            lines = (pathlib.Path(self.data) / "node.yaml").read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return "removed: true" in lines or bool(self.pid and (self.status() or {}).get("removed"))

    def group(self, group=DATA_GROUP):
        """What the node says of its replica in a group; None where it does not answer."""
        for entry in (self.status() or {}).get("groups", []):
            if str(entry.get("id")) == group:
                return entry
        return None

    def log_tail(self, lines=15):
        try:
            text = self.log_file.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join("    " + line for line in text[-lines:])


class LocalCluster:
    def __init__(self, directory=None):
        self.directory = pathlib.Path(directory).resolve() if directory else DEFAULT_DIRECTORY
        self.nodes = []
        # The numbers of nodes that the cluster removed: no other host may have them.
        self.removed = []
        # From which port on nodes have theirs; None where they were chosen otherwise.
        self.base_port = None
        if self.description_file.exists():
            description = json.loads(self.description_file.read_text())
            self.nodes = [Node(self, record) for record in description["nodes"]]
            self.removed = description.get("removed", [])
            self.base_port = description.get("basePort")

    @property
    def description_file(self):
        return self.directory / "cluster.json"

    # Making

    def define(self, count=None, base_port=None, settings=None):
        """Settles what the cluster is made of; keeps what an earlier start settled unless something else is asked for."""
        if self.nodes and base_port is None and not settings and count in (None, len(self.nodes)):
            return
        if any(node.pid for node in self.nodes):
            raise ClusterError(f"the cluster in {self.directory} runs; stop it before changing what it is made of")
        if self.nodes and count not in (None, len(self.nodes)):
            raise ClusterError(f"{self.directory} holds a cluster of {len(self.nodes)}; choose another directory with --dir")
        count = count or len(self.nodes) or 3
        if not 1 <= count <= 9:
            raise ClusterError(f"a cluster has 1 to 9 nodes, not {count}")
        self.directory.mkdir(parents=True, exist_ok=True)
        shipped = {DEFAULT_DIRECTORY: 3, SINGLE_DIRECTORY: 1}
        if shipped.get(self.directory) == count and base_port is None and not settings:
            records = self.shipped_records(count)
        else:
            records = self.written_records(count, base_port, settings or {})
        self.nodes = [Node(self, record) for record in records]
        self.save()

    def shipped_records(self, count):
        """The nodes of config/, whose ports these are."""
        if count == 1:
            return [{"id": 1, "config": "config/single.yaml", "data": str(DEFAULT_DIRECTORY / "single"),
                     "resp": 6400, "http": 8080, "grpc": 9080, "peer": 7400}]
        return [{"id": i, "config": f"config/cluster/n{i}.yaml", "data": str(self.directory / f"n{i}"),
                 "resp": 6400 + i, "http": 8080 + i, "grpc": 9080 + i, "peer": 7400 + i} for i in range(1, count + 1)]

    def written_records(self, count, base_port, settings):
        ports = self.ports(count, base_port)
        records = []
        for i, (resp, http, grpc, peer) in enumerate(ports, start=1):
            records.append({"id": i, "config": str(self.directory / f"n{i}.yaml"), "data": str(self.directory / f"n{i}"),
                            "resp": resp, "http": http, "grpc": grpc, "peer": peer})
        self.write_configurations(records, records, settings)
        return records

    def write_configurations(self, records, founders, settings):
        """The files of these nodes, which name the founders."""
        members = "[" + ", ".join(f'{{id: {r["id"]}, peer: "127.0.0.1:{r["peer"]}"}}' for r in founders) + "]"
        for record in records:
            tree = {
                "node": {"id": record["id"], "data_dir": yaml_text(record["data"])},
                "cluster": {"nodes": members},
                "resp": {"listen": f'127.0.0.1:{record["resp"]}'},
                "http": {"listen": f'127.0.0.1:{record["http"]}'},
                "grpc": {"listen": f'127.0.0.1:{record["grpc"]}'},
                "peer": {"listen": f'127.0.0.1:{record["peer"]}'},
            }
            for path, value in settings.items():
                branch = tree
                *parents, leaf = path.split(".")
                for name in parents:
                    branch = branch.setdefault(name, {})
                branch[leaf] = value
            text = "\n".join(["# Written by scripts/cluster.", *yaml_lines(tree)]) + "\n"
            pathlib.Path(record["config"]).write_text(text)

    def add(self, number=None, settings=None):
        """A further node, on free ports, that is to join; or one of the present ones that is to join anew, its data lost."""
        known = next((node for node in self.nodes if str(node.id) == str(number)), None)
        if known:
            if known.pid:
                raise ClusterError(f"node {known.id} runs")
            shutil.rmtree(known.data, ignore_errors=True)
            known.joins = True
        else:
            number = int(number or max([node.id for node in self.nodes] + self.removed) + 1)
            resp, http, grpc, peer = self.based_ports(number) if self.base_port else free_ports(4)
            record = {"id": number, "config": str(self.directory / f"n{number}.yaml"), "data": str(self.directory / f"n{number}"),
                      "resp": resp, "http": http, "grpc": grpc, "peer": peer, "joins": True}
            if number in self.removed:
                # Back as a new one: what it had is refused for ever.
                shutil.rmtree(record["data"], ignore_errors=True)
                self.removed.remove(number)
            self.write_configurations([record], [record], settings or {})
            known = Node(self, record)
            self.nodes.append(known)
        self.save()
        return known

    def save(self):
        records = [node.record() for node in self.nodes]
        description = {"nodes": records, **({"removed": self.removed} if self.removed else {}),
                       **({"basePort": self.base_port} if self.base_port else {})}
        self.description_file.write_text(json.dumps(description, indent=2) + "\n")

    def drop(self, node):
        """Leaves out a node that the cluster removed, here and from now on."""
        self.stop(node.id)
        self.nodes.remove(node)
        self.removed.append(node.id)
        self.save()
        say(f"node {node.id} was removed from the cluster: it is not started any more; its data is left in {node.data}", sys.stderr)

    def ports(self, count, base_port):
        """RESP, HTTP, gRPC and peer port of each node."""
        if base_port == "auto" and not (self.nodes and len(self.nodes) == count):
            free = free_ports(4 * count)
            return [tuple(free[4 * i:4 * i + 4]) for i in range(count)]
        if base_port not in (None, "auto"):
            base = int(base_port)
            if not 1 <= base <= 65535 - 400:
                raise ClusterError(f"--base-port {base}: expected 1 to {65535 - 400}, or auto")
            self.base_port = base
            return [self.based_ports(number) for number in range(1, count + 1)]
        self.base_port = None if base_port == "auto" else self.base_port
        if self.nodes and len(self.nodes) == count:
            return [(node.resp, node.http, node.grpc or free_ports(1)[0], node.peer) for node in self.nodes]
        return [(6400 + i, 8080 + i, 9080 + i, 7400 + i) for i in range(1, count + 1)]

    def based_ports(self, number):
        return tuple(self.base_port + offset + number for offset in (0, 100, 300, 200))

    def node(self, name):
        for node in self.nodes:
            if str(node.id) == str(name).lstrip("n"):
                return node
        raise ClusterError(f"there is no node {name} in {self.directory}; there are {len(self.nodes)}")

    # Running

    def start(self, only=None, timeout=30.0, wait=True):
        """Starts the nodes that do not run and waits until they are ready; returns their processes by node id."""
        if not self.nodes:
            raise ClusterError(f"{self.directory} holds no cluster")
        if not only:
            for node in [one for one in self.nodes if one.was_removed()]:
                self.drop(node)
            if not self.nodes:
                raise ClusterError(f"all nodes in {self.directory} were removed from their cluster")
        chosen = [self.node(only)] if only else list(self.nodes)
        processes = {}
        for node in chosen:
            process = node.launch()
            if process:
                processes[node.id] = process
        if wait:
            try:
                self.wait_ready(chosen, timeout, drops=not only)
            except ClusterError:
                # A cluster that does not come up leaves nothing behind; one node of many is left for a second look.
                if not only:
                    self.stop()
                raise
        return processes

    def wait_ready(self, nodes, timeout=30.0, drops=False):
        deadline = time.monotonic() + timeout
        waiting = list(nodes)
        while waiting:
            for node in list(waiting):
                # One that was not there when it was removed hears of it now.
                if drops and len(self.nodes) > 1 and not node.is_ready() and node.was_removed():
                    waiting.remove(node)
                    self.drop(node)
                    continue
                if not node.pid:
                    raise ClusterError(f"node {node.id} did not start; its log ({node.log_file}) ends with\n{node.log_tail()}")
                # Another program may answer on the port while ours is about to find it taken.
                if node.is_ready() and str((node.status() or {}).get("node")) == str(node.id):
                    waiting.remove(node)
            if not waiting:
                return
            if time.monotonic() > deadline:
                names = ", ".join(str(node.id) for node in waiting)
                raise ClusterError(
                    f"not ready after {timeout:.0f} s: node {names}; the log of the first ({waiting[0].log_file}) ends with\n"
                    f"{waiting[0].log_tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self, only=None, timeout=20.0):
        """Asks the nodes to end and waits; returns those that had to be killed."""
        chosen = [self.node(only)] if only else self.nodes
        for node in chosen:
            # A process that a test had halted must run to hear that it shall end.
            node.signal(signal.SIGCONT)
            node.signal(signal.SIGTERM)
        stubborn = self.wait_gone(chosen, timeout)
        for node in stubborn:
            node.signal(signal.SIGKILL)
        self.wait_gone(stubborn, timeout)
        for node in chosen:
            node.pid_file.unlink(missing_ok=True)
        return stubborn

    def wait_gone(self, nodes, timeout):
        deadline = time.monotonic() + timeout
        left = [node for node in nodes if node.pid]
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = [node for node in left if node.pid]
        return left

    def kill(self, name):
        """SIGKILL to node `name`, or to the leader of the data group; returns the node."""
        node = self.wait_leader(10.0) if name == "leader" else self.node(name)
        if node.signal(signal.SIGKILL) is None:
            raise ClusterError(f"node {node.id} does not run")
        self.wait_gone([node], 10.0)
        return node

    def leader(self):
        """The node that leads the data group in the highest term, of those that answer."""
        best = None
        for node in self.nodes:
            group = node.group() if node.pid else None
            if group and group.get("role") == "leader":
                term = int(group.get("term", 0))
                if best is None or term > best[0]:
                    best = (term, node)
        return best[1] if best else None

    def wait_leader(self, timeout=30.0):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            node = self.leader()
            if node:
                return node
            time.sleep(POLL_SECONDS)
        raise ClusterError(f"no leader after {timeout:.0f} s")

    # Telling

    def states(self):
        rows = []
        for node in self.nodes:
            row = {**node.record(), "pid": node.pid, "ready": False, "role": None, "term": None, "applied": None}
            if row["pid"]:
                row["ready"] = node.is_ready()
                group = node.group() or {}
                row["role"] = group.get("role")
                row["term"] = group.get("term")
                row["applied"] = group.get("appliedIndex")
            rows.append(row)
        return rows

    def client_environment(self, nodes=None):
        """The environment in which kvctl talks to these nodes, all unless given."""
        chosen = nodes or self.nodes
        return {**os.environ,
                "KVCTL_ENDPOINTS": ",".join(f"127.0.0.1:{node.resp}" for node in chosen),
                "KVCTL_HTTP_ENDPOINTS": ",".join(f"127.0.0.1:{node.http}" for node in chosen)}
