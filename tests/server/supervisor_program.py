"""A gateway as ``creditgate serve`` runs it, forked: its standard input tells it all it needs.

Its first line is what `Told.written` gives. It says a line with its addresses once it answers.
"""

import functools
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gateway.config import GatewayConfig
from gateway.server import pulse, supervisor


@dataclass(frozen=True)
class Told:
    """How long a process of it must have lived, how long it tries, after how many seconds without
    a sign its keeper hangs; variables of its environment; its settings."""

    least_life: float
    give_up: float
    lost: int
    environment: Mapping[str, str]
    settings: Mapping[str, Any]

    def written(self) -> bytes:
        """Return it in one line."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> None:
    """Serve until told to stop by a signal."""
    told = Told(**json.loads(sys.stdin.readline()))
    os.environ.update(told.environment)
    supervisor.Patience = functools.partial(  # pyright: ignore[reportAttributeAccessIssue]
        supervisor.Patience, least_life=told.least_life, give_up=told.give_up
    )
    pulse.LOST_SECONDS = told.lost  # pyright: ignore[reportAttributeAccessIssue]
    config = GatewayConfig.model_validate_json(json.dumps(told.settings))
    supervisor.serve(config, lambda at: print(json.dumps(asdict(at), default=str), flush=True))
