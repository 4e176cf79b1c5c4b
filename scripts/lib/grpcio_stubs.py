"""Makes Python stubs of Protos/ in a temporary folder, for the scripts that talk gRPC to a cluster."""

import pathlib
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc

PROTOS = pathlib.Path(__file__).resolve().parents[2] / "Protos"
_folder = tempfile.TemporaryDirectory()


def load():
    """The modules of kv.v1: messages and stubs."""
    code = protoc.main([
        "protoc", f"--proto_path={PROTOS}", f"--proto_path={pathlib.Path(grpc_tools.__file__).parent / '_proto'}",
        f"--python_out={_folder.name}", f"--grpc_python_out={_folder.name}", "kv/v1/kv.proto"])
    if code != 0:
        raise SystemExit(f"protoc failed: {code}")
    sys.path.insert(0, _folder.name)
    from kv.v1 import kv_pb2, kv_pb2_grpc
    return kv_pb2, kv_pb2_grpc
