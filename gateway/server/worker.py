"""A worker process: started by the supervisor, configured over its standard input.

``python -m gateway.server.worker``: reads one line of settings as JSON, writes one line
with its addresses once it serves, and drains when its input ends, so that a worker
never outlives its supervisor.
"""

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import asdict

import uvloop

from gateway.config import GatewayConfig
from gateway.server.process import running_gateway
from gateway.telemetry.logs import log_to_stderr


async def _work(config: GatewayConfig) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    loop.add_reader(sys.stdin, done.set)
    async with running_gateway(config) as running:
        print(json.dumps(asdict(running), default=str), flush=True)  # noqa: T201
        await done.wait()


def main() -> None:
    """Serve until told to stop."""
    config = GatewayConfig.model_validate_json(sys.stdin.readline())
    log_to_stderr(config.log_level)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_work(config))


if __name__ == "__main__":
    main()
