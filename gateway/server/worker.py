"""A worker process: one of those that serve.

``python -m gateway.server.worker``: reads one line that tells it what it needs, writes one line
with its addresses once it serves, and drains when its input ends, so that it never outlives its
parent. Told of no keeper, it works in the background as well.
"""

import asyncio
import json
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict

from gateway.server.living import live, say
from gateway.server.memory import collect_rarely
from gateway.server.process import https_socket, running_gateway, serving_gateway
from gateway.server.pulse import at_work, beat
from gateway.server.told import Told


async def _work(told: Told, over: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        # Until it has drained: that its event loop turns is all that is asked of it.
        pulse = told.pulse_line(stack.enter_context(ExitStack()))
        await stack.enter_async_context(at_work(beat(pulse, ())))
        if told.ends:
            line = told.line(stack.enter_context(ExitStack()))
            https = stack.enter_context(https_socket(told.config))
            gateway = serving_gateway(told.config, told.policies, line, https)
        else:
            gateway = running_gateway(told.config)
        running = await stack.enter_async_context(gateway)
        collect_rarely()
        say(json.dumps(asdict(running), default=str), over)
        await over.wait()


def main() -> None:
    """Serve until told to stop."""
    live("gate-worker", _work)


if __name__ == "__main__":
    main()
