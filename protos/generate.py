"""Regenerate the Python stubs beside the protos: ``python protos/generate.py [OUTPUT_DIR]``.

Stubs are checked in so that installing needs no compiler; a test regenerates them
into an empty folder and fails when they differ.
"""

import os
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent


def generate(output: Path) -> None:
    """Write ``*_pb2.py``, ``*_pb2_grpc.py`` and their ``.pyi`` below ``output``.

    Raises RuntimeError when the compiler refuses a proto.
    """
    scripts = Path(sys.executable).parent
    os.environ["PATH"] = f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"
    sources = sorted(str(path) for path in PROTOS.glob("creditgate/v1/*.proto"))
    status = protoc.main(
        [
            "protoc",
            f"-I{PROTOS}",
            f"-I{files('grpc_tools') / '_proto'}",
            f"--python_out={output}",
            f"--mypy_out=quiet:{output}",
            f"--grpc_python_out={output}",
            f"--mypy_grpc_out=quiet:{output}",
            *sources,
        ]
    )
    if status != 0:
        raise RuntimeError("protoc refused the protos; its message stands above")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS)
