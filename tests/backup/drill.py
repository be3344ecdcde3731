"""A load of publishing and asking, of which it is known what was acknowledged when."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

import grpc
from sqlalchemy import select

from gateway.disclose.tables import REVISIONS
from gateway.meter.tables import USAGE
from gateway.storage.engines import Engines, reading
from tests.installation import PUBLISHER, Gateway, company, eventually
from tests.server.calls import draft, publish, query

COMPANIES = 5


@dataclass
class Load:
    """What was acknowledged, in order: records by id, answers by request id."""

    published: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def on(self, gateway: Gateway) -> AsyncGenerator[None]:
        """Publish and ask while the context lasts; who is cut off stops."""
        async with gateway.channel(PUBLISHER) as publisher, gateway.channel() as operator:
            tasks = [
                asyncio.create_task(self._publish(publisher)),
                *(asyncio.create_task(self._ask(operator)) for _ in range(3)),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def grown(self, by: int) -> None:
        """Wait until so many more of each were acknowledged."""
        published, answered = len(self.published) + by, len(self.answered) + by

        async def has_grown() -> bool:
            return len(self.published) >= published and len(self.answered) >= answered

        await eventually(has_grown, 30)

    async def _publish(self, channel: grpc.aio.Channel) -> None:
        for number in count(len(self.published)):
            record_id = f"r-{number}"
            await publish(channel, [draft(record_id, company(number % COMPANIES))])
            self.published.append(record_id)
            await asyncio.sleep(0.005)

    async def _ask(self, channel: grpc.aio.Channel) -> None:
        for number in count():
            request_id = str(uuid4())
            await query(channel, company(number % COMPANIES), request_id=request_id)
            self.answered.append(request_id)


def kept_in(engines: Engines) -> tuple[list[str], list[str]]:
    """Return the records and answers that a store has, in the order they were committed."""
    with reading(engines.records) as connection:
        return (
            [
                *connection.execute(
                    select(REVISIONS.c.record_id).order_by(REVISIONS.c.sequence)
                ).scalars()
            ],
            [*connection.execute(select(USAGE.c.request_id).order_by(USAGE.c.sequence)).scalars()],
        )
