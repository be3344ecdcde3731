"""The gateway itself, served as ``creditgate serve`` does, by default settings.

``python -m benchmarks.servers.gateway HOME [PROFILE]``; with PROFILE, the event loop's
thread runs under cProfile and its figures are written there at the end.
"""

import cProfile
import sys
from pathlib import Path

from benchmarks.installations import config_of
from gateway.config import GatewayConfig
from gateway.conformance.policy_file import write_policy
from gateway.server.process import Running
from gateway.server.supervisor import serve


def _settings(home: Path, workers: int) -> GatewayConfig:
    """Return the settings of a home: attestations may follow one another at once, and leave
    little to show, for nobody shows it."""
    policy = write_policy(
        home / "conformance-policy.yaml",
        attestation_spacing="PT0S",
        sampling={"lied_share": 0.05, "caught": 0.99, "most": 1, "answer": "PT48H"},
    )
    changed = {"conformance_policy": policy, "workers": workers}
    return config_of(home).model_copy(update=changed)


def _tell(running: Running) -> None:
    print(f"ready {running.grpc} {running.issuer}", flush=True)


def run(home: Path, profile: Path | None = None, workers: int = 1) -> None:
    """Serve the installation in ``home`` until told to stop."""
    settings = _settings(home, workers)
    if profile is None:
        serve(settings, _tell)
        return
    profiler = cProfile.Profile()
    profiler.runcall(serve, settings, _tell)
    profiler.dump_stats(profile)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
