"""A firm of the asking region with a quota of its own, and what it was given and charged."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import grpc
from sqlalchemy import func, select

from creditgate.v1.federated_record_service_pb2_grpc import FederatedRecordServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.federation.asking.tables import REGION_USES
from gateway.meter.model import SECONDS_A_DAY
from gateway.meter.quota_use import SqlQuotaUse
from gateway.meter.tables import QUOTA_HOLDS, USAGE
from gateway.storage.engines import reading
from sdk.federated import FederatedAnswer
from sdk.refusals import explain
from sdk.tokens import TokenRefused
from tests.federation.asking.world import World, company, ended, question
from tests.installation import PUBLIC_ITEM, eventually
from tests.server.calls import query

CHUNK: Final = 5
"""Subjects of a chunk in the regions of this folder."""
_firms: Final = count(1)


class Firm:
    """An operator of the asking region, with a licence of its own."""

    def __init__(self, world: World, quota: int) -> None:
        self.world = world
        self.operator_id = f"firm-{next(_firms)}"
        self.client_id = f"{self.operator_id}-client"
        installation = world.one.installation
        installation.license(self.operator_id, f"L-{self.operator_id}", quota=quota)
        installation.enrol(self.client_id, ClientRole.CLIENT_ROLE_OPERATOR, self.operator_id)

    async def known(self) -> "Firm":
        """Wait until it is known, here and there."""

        async def answered() -> bool:
            try:
                answer = await self.ask([company("two")])
            except TokenRefused:
                return False
            return ended(answer, self.world.two) == "EMPTY"

        await eventually(answered, 10)
        return self

    async def ask(self, subjects: Sequence[str], **more: Any) -> FederatedAnswer:
        """Ask region "two" alone."""
        named = {"regions": [self.world.two.entity_id]}
        return await self.world.ask(*subjects, client_id=self.client_id, **named | more)

    async def hang_up(self, subjects: Sequence[str], request_id: str) -> None:
        """Ask, and hang up at the receipt of the question."""
        channel = await self.world.channels.of(self.world.one.gateway, self.client_id)
        call: Any = FederatedRecordServiceStub(channel).QueryRegions(
            question(subjects, request_id=request_id, regions=[self.world.two.entity_id])
        )
        await call.read()
        call.cancel()

    def given(self) -> int:
        """Return how many records other regions gave it."""
        query = select(func.count()).where(
            REGION_USES.c.operator_id == self.operator_id, REGION_USES.c.subject != ""
        )
        return self._count(query)

    def charged(self) -> int:
        """Return how many records of other regions its own gateway charged it."""
        return self._count(
            select(func.coalesce(func.sum(USAGE.c.region_records), 0)).where(
                USAGE.c.operator_id == self.operator_id
            )
        )

    def counted(self) -> int:
        """Return what its portal says was used of the day's quota."""
        installation = self.world.one.installation
        day = installation.clock.now() // SECONDS_A_DAY
        by_day = SqlQuotaUse(installation.engines.records).by_day(self.operator_id, day - 1, day)
        return sum(by_day.values())

    def held(self) -> int:
        """Return how many answers room is held for."""
        holds = QUOTA_HOLDS.c
        return self._count(select(func.count()).where(holds.operator_id == self.operator_id))

    def _count(self, query: Any) -> int:
        with reading(self.world.one.installation.engines.records) as connection:
            return int(connection.execute(query).scalar_one())


async def own_record(firm: Firm, subject: str) -> str:
    """Ask the firm's own region about a company; return the reason it is refused for, or ""."""
    try:
        channel = await firm.world.channels.of(firm.world.one.gateway, firm.client_id)
        await query(channel, subject, items=[PUBLIC_ITEM])
    except grpc.aio.AioRpcError as error:
        return explain(error).reason
    return ""
