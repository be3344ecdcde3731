"""Channels of clients at gateways, each opened once: to open one costs more than most calls do."""

import asyncio
from typing import Self

import grpc

from sdk.connection import connect
from tests.installation import OPERATOR_CLIENT, Gateway


class Channels:
    """The channels that were asked for, open until the context ends or they are closed."""

    def __init__(self) -> None:
        self._opened: dict[tuple[str, str], grpc.aio.Channel] = {}
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def of(self, gateway: Gateway, client_id: str = OPERATOR_CLIENT) -> grpc.aio.Channel:
        """Return the channel of a client, with a token that is kept fresh. Raises TokenRefused."""
        place = gateway.running.grpc, client_id
        async with self._turn:
            if place not in self._opened:
                self._opened[place] = await connect(gateway.credentials(client_id))
            return self._opened[place]

    async def close(self) -> None:
        """Close all, as where a gateway ends; whoever asks gets new ones."""
        while self._opened:
            _, channel = self._opened.popitem()
            await channel.close()
