"""A client's channel, closed."""

import asyncio

import pytest

from sdk.connection import connect
from tests.installation import Installation


async def test_closing_a_channel_does_not_lose_a_cancellation(embedded: Installation) -> None:
    async with embedded.running() as gateway:
        channel = await connect(gateway.credentials())
        closing = asyncio.create_task(channel.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
