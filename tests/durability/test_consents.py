"""A gateway killed under load answers under each consent as often as that allows (G3, G12)."""

import asyncio
import random
from collections import Counter
from uuid import uuid4

import grpc
from sqlalchemy import select

from consent.model import ONCE, TIMES_PER_DAY, ConsentItem
from consent.sql import SqlConsents
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from gateway.meter.tables import USAGE
from sdk.refusals import explain
from tests import consenting
from tests.durability.test_kill import CUT_OFF
from tests.examples import rarely_on_postgresql
from tests.installation import CONSENT_ITEM, PURPOSE, Installation, company

CALLERS = 6
KILLS = 3
TIMES = 5


class Asking:
    """Calls under some consents, each as one of a few requests, and what was answered."""

    def __init__(self, consents: list[str], seed: int) -> None:
        self.chance = random.Random(seed)
        self.requests = [
            records_pb.GetSubjectRecordsRequest(
                subject=company(1),
                items=[CONSENT_ITEM],
                purpose=PURPOSE,
                request_id=str(uuid4()),
                consent=name,
            )
            for name in consents
            for _ in range(4)
        ]
        self.answered: dict[str, str] = {}

    async def ask(self, channel: grpc.aio.Channel) -> None:
        """Ask until cut off, again and again by the same requests."""
        stub = records_grpc.CreditRecordServiceStub(channel)
        while True:
            request = self.chance.choice(self.requests)
            try:
                await stub.GetSubjectRecords(request, timeout=10)
            except grpc.aio.AioRpcError as error:
                told = explain(error)
                if told.reason != "CONSENT_EXHAUSTED":
                    assert told.status in CUT_OFF, told
                    return
                assert request.request_id not in self.answered, "a retry was turned away"
            else:
                self.answered[request.request_id] = request.consent


@rarely_on_postgresql
async def test_kills_never_make_a_consent_answer_more_requests_than_it_allows(
    installation: Installation,
) -> None:
    now = installation.clock.now()
    consents = SqlConsents(installation.engines.records)
    whole = ConsentItem(item=CONSENT_ITEM, fields=frozenset({"finding"}))
    until = {"valid_from": now - 60, "valid_until": now + 86_400}
    modes = [{"access_mode": ONCE}] * 30
    modes += [{"access_mode": TIMES_PER_DAY, "times_per_day": TIMES}]
    given = [
        consenting.given(
            consents,
            company(1),
            consenting.terms([whole], purposes=frozenset({PURPOSE}), **until, **mode),
        )
        for mode in modes
    ]
    asking = Asking([each.name for each in given[:-1]] + [given[-1].name] * 3, 20261124)
    for _ in range(KILLS):
        async with installation.process() as served, served.gateway.channel() as channel:
            tasks = [asyncio.create_task(asking.ask(channel)) for _ in range(CALLERS)]
            await asyncio.sleep(asking.chance.uniform(0.2, 0.6))
            served.process.kill()
            await served.process.wait()
            await asyncio.wait_for(asyncio.gather(*tasks), 30)
    with installation.engines.records.connect() as connection:
        rows = connection.execute(
            select(USAGE.c.request_id, USAGE.c.consent, USAGE.c.served_at)
        ).all()
    metered = Counter(row.consent for row in rows)
    uses = consents.uses([each.consent_id for each in given])
    assert metered == {f"consents/{id_}": use.answered for id_, use in uses.items()}
    assert all(metered[each.name] <= 1 for each in given[:-1])
    daily = given[-1].name
    days = Counter(row.served_at // consenting.DAY for row in rows if row.consent == daily)
    assert max(days.values()) <= TIMES
    assert asking.answered.items() <= {(row.request_id, row.consent) for row in rows}
    assert len(asking.answered) > KILLS
