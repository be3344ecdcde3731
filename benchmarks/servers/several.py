"""The gateway with so many processes that serve, on so many cores.

``python -m benchmarks.servers.several HOME WORKERS CORES``; the keeper runs on the same cores.
"""

import os
import sys
from pathlib import Path

from benchmarks.servers.gateway import run

if __name__ == "__main__":
    _cores = sorted(os.sched_getaffinity(0))[: int(sys.argv[3])]
    os.sched_setaffinity(0, _cores)
    run(Path(sys.argv[1]), workers=int(sys.argv[2]))
