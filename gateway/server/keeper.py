"""The keeper: a process that works in the background, so that those beside it only serve.

``python -m gateway.server.keeper``: reads one line that tells it what it needs, writes one line
once it works, and ends when its input ends, so that it never outlives its parent.
"""

import asyncio
from contextlib import AsyncExitStack, ExitStack

from gateway.clock import SystemClock
from gateway.server.grounds import grounds_of
from gateway.server.keeping import keeping
from gateway.server.listening import issuer_of
from gateway.server.living import live, say
from gateway.server.memory import collect_rarely
from gateway.server.told import Told


async def _keep(told: Told, over: asyncio.Event) -> None:
    config = told.config
    async with AsyncExitStack() as stack:
        line = told.line(stack.enter_context(ExitStack()))
        issuer = issuer_of(config, config.https_port)
        grounds = await stack.enter_async_context(
            grounds_of(config, told.policies, issuer, SystemClock())
        )
        await stack.enter_async_context(keeping(grounds, line))
        collect_rarely()
        say("keeping", over)
        await over.wait()


def main() -> None:
    """Work until told to stop."""
    live("gate-keeper", _keep)


if __name__ == "__main__":
    main()
