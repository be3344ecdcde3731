"""``creditgate`` forked from one process that has its code, since pages run it a hundred times.

``python -m tests.docs.warm SOCKET`` is that process; it ends when its standard input does. The
program `asking` asks it for a command with its own standard streams, folder and environment, and
ends as the command does.
"""

import json
import os
import pkgutil
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import gateway.cli
import sdk
from gateway.cli.main import main
from gateway.server.memory import keep_loaded
from tests.docs import asking

_WHAT_COMMANDS_NEED = ("gateway.backup.restoring", "gateway.demo.run", "gateway.server.supervisor")
_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def warm_commands() -> Generator[Path]:
    """Give a folder for PATH whose ``creditgate`` needs not to be loaded."""
    with tempfile.TemporaryDirectory(prefix="creditgate-warm-") as made:
        folder, place = Path(made), str(Path(made) / "socket")
        told = shlex.join([sys.executable, "-IS", str(asking.__file__), place])
        program = folder / "creditgate"
        program.write_text(f'#!/bin/sh\nexec {told} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        with subprocess.Popen(
            [sys.executable, "-m", "tests.docs.warm", place],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline(), "the commands could not be loaded"
            yield folder


def _main(place: str) -> None:
    for package in (gateway.cli, sdk):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".__main__"):
                import_module(module.name)
    for name in _WHAT_COMMANDS_NEED:
        import_module(name)
    keep_loaded()
    # What it forked is nobody's to wait for: the system forgets it at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        print(place, flush=True)
        while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
            asked, _ = listener.accept()
            if not os.fork():
                break
            asked.close()
        else:
            return
    status = 1
    try:
        _run(asked)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        asked.sendall(bytes([status]))
        os._exit(status)


def _run(asked: socket.socket) -> None:
    _, streams, _, _ = socket.recv_fds(asked, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with asked.makefile(encoding="utf-8") as lines:
        told = json.loads(lines.readline())
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv = ["creditgate", *told["arguments"]]
    main()


if __name__ == "__main__":
    _main(sys.argv[1])
