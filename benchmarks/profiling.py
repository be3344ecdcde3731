"""Where a unary call's time goes: the gateway under cProfile and the usual load."""

import pstats
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.parts.stage import GATEWAY, USUAL, Stage
from benchmarks.parts.unary import CLIENT

_LINES: Final = 45


def profile_unary(stage: Stage) -> None:
    """Print the event loop's functions by their own time."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "profile"
        with stage.gateway(USUAL, GATEWAY, file) as gateway, gateway.loaded(CLIENT) as side:
            calls = side.run(stage.pace.seconds * stage.pace.turns).calls
        print(f"{calls} calls")
        pstats.Stats(str(file)).sort_stats("tottime").print_stats(_LINES)
