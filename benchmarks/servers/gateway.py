"""The gateway itself, served as ``creditgate serve`` does, by default settings.

``python -m benchmarks.servers.gateway HOME [PROFILE]``; with PROFILE, the event loop's
thread runs under cProfile and its figures are written there at the end.
"""

import cProfile
import sys
from pathlib import Path

from benchmarks.installations import config_of
from gateway.server.process import Running
from gateway.server.supervisor import serve


def _tell(running: Running) -> None:
    print(f"ready {running.grpc} {running.issuer}", flush=True)


def run(home: Path, profile: Path | None = None) -> None:
    """Serve the installation in ``home`` until told to stop."""
    if profile is None:
        serve(config_of(home), _tell)
        return
    profiler = cProfile.Profile()
    profiler.runcall(serve, config_of(home), _tell)
    profiler.dump_stats(profile)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
