"""A process that hangs in the midst of its answers holds up nobody who takes a consent back (G4), and
charges nothing twice once it goes on (G5)."""

import asyncio
import os
import signal
from collections import Counter as Count
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import monotonic
from typing import Any

import grpc
import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from consent.tables import CONSENT
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from gateway.disclose.store import keep_use_out
from gateway.meter.tables import QUOTA, USAGE
from gateway.storage.engines import reading
from sdk.refusals import explain
from sdk.request_ids import new_request_id
from tests.consents.counter import Counter, furnish, id_of, open_counter, refusal_of
from tests.forking import Forked
from tests.installation import CONSENT_ITEM, PUBLIC_ITEM, PUBLISHER, PURPOSE, eventually, furnished
from tests.patience import patiently
from tests.server.calls import draft, publish
from tests.stores import PostgresStores

_CALLERS = 6
_SOON_SECONDS = 2.5
_HANGS_SECONDS = 3.0
_LATE_SECONDS = 6.0
_IDLE = text(
    "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid)"
    " WHERE state = 'idle in transaction' AND locktype = 'advisory'"
    " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class _Asking:
    """Asks one gateway again and again, each question until it is answered or refused for good."""

    def __init__(self, counter: Counter, subject: str, **about: Any) -> None:
        self._stub = CreditRecordServiceStub(counter.alpha)
        self._about: dict[str, Any] = {"subject": subject, "purpose": PURPOSE, **about}
        self.answered: set[str] = set()
        self.reasons: Count[str] = Count()
        self.over = False

    async def on_and_on(self) -> None:
        """Ask until it is over."""
        while not self.over:
            request_id = new_request_id()
            with suppress(grpc.aio.AioRpcError):
                await patiently(partial(self._ask, request_id))

    async def _ask(self, request_id: str) -> None:
        request = records_pb.GetSubjectRecordsRequest(**self._about, request_id=request_id)
        try:
            await self._stub.GetSubjectRecords(request, timeout=20)
        except grpc.aio.AioRpcError as error:
            self.reasons[explain(error).reason] += 1
            raise
        self.answered.add(request_id)


@asynccontextmanager
async def _all_asking(*asking: _Asking) -> AsyncGenerator[None]:
    tasks = [asyncio.create_task(each.on_and_on()) for each in asking for _ in range(_CALLERS)]
    yield
    for each in asking:
        each.over = True
    await asyncio.gather(*tasks)


async def _hangs_amid_an_answer(process: Forked, engine: Engine, consent: str) -> None:
    """Stop a process where it has locked a consent in a transaction that is open."""
    for number in range(500):
        await asyncio.sleep(0.05 + 0.000_7 * (number % 20))
        os.kill(process.pid, signal.SIGSTOP)
        await asyncio.sleep(0.02)
        if await asyncio.to_thread(_is_held, engine, consent):
            return
        os.kill(process.pid, signal.SIGCONT)
    pytest.fail("it was never stopped in the midst of an answer")


def _is_held(engine: Engine, consent: str) -> bool:
    query = select(CONSENT.c.version).where(CONSENT.c.consent_id == id_of(consent))
    with suppress(OperationalError), engine.begin() as connection:
        if not connection.execute(_IDLE).scalar_one():
            return False
        try:
            connection.execute(query.with_for_update(nowait=True))
        except OperationalError as error:
            return isinstance(error.orig, LockNotAvailable)
    return False


async def test_a_revocation_waits_for_no_process_that_hangs_and_that_goes_on_by_itself(
    postgres_stores: PostgresStores,
) -> None:
    with furnished(postgres_stores) as installation:
        furnish(installation)
        records = installation.engines.records
        async with (
            installation.process() as here,
            installation.process() as there,
            open_counter(here.gateway) as counter,
            open_counter(there.gateway) as through_there,
        ):
            subject = await counter.published()
            async with here.gateway.channel(PUBLISHER) as publisher:
                await publish(publisher, [draft(f"public-{subject}", subject)])
            given = await counter.given(subject)
            under_it = _Asking(through_there, subject, items=[CONSENT_ITEM], consent=given.name)
            public = _Asking(through_there, subject, items=[PUBLIC_ITEM])
            async with _all_asking(under_it, public):
                await _hangs_amid_an_answer(there.process, records, given.name)
                stopped = monotonic()
                answer = await counter.operator.RevokeConsent(
                    pb.RevokeConsentRequest(name=given.name), timeout=_HANGS_SECONDS
                )
                assert monotonic() - stopped < _SOON_SECONDS
                assert answer.consent.state == ConsentState.CONSENT_STATE_REVOKED
                known, before = len(under_it.answered), len(public.answered)
                os.kill(there.process.pid, signal.SIGCONT)

                async def answers_again() -> bool:
                    return len(public.answered) > before + 10 * _CALLERS

                await eventually(answers_again)
            ended = (await counter.read(given.name)).history[-1].event_time.seconds
            # Some may have come back before it hung, and were read only now.
            assert len(under_it.answered) <= known + _CALLERS
            assert under_it.reasons["CONSENT_REVOKED"]
            assert public.reasons.keys() <= {"TEMPORARILY_UNAVAILABLE", "AUTHORITY_UNKNOWN"}
        with reading(records) as connection:
            rows = connection.execute(
                select(USAGE.c.request_id, USAGE.c.usage_index, USAGE.c.consent, USAGE.c.served_at)
            ).all()
            counted = connection.execute(select(QUOTA.c.used)).scalars().all()
        assert sorted(row.request_id for row in rows) == sorted(under_it.answered | public.answered)
        assert sorted(row.usage_index for row in rows) == list(range(len(rows)))
        assert sum(counted) == len(rows)
        assert all(row.served_at <= ended for row in rows if row.consent)


async def test_who_would_take_back_or_repair_is_told_to_try_again_where_a_lock_is_not_given(
    postgres_stores: PostgresStores,
) -> None:
    with furnished(postgres_stores) as installation:
        furnish(installation)
        async with installation.running() as gateway, open_counter(gateway) as counter:
            subject = await counter.published()
            given = await counter.given(subject)
            ending = disclosure_pb.RepairRecordRequest(
                name=f"records/r-{subject}", expected_revision=1, decision_reference="2026-1"
            )
            row = select(CONSENT.c.version).where(CONSENT.c.consent_id == id_of(given.name))
            async with gateway.channel(PUBLISHER) as publisher:
                with installation.engines.records.begin() as connection:
                    # As whoever looks at the database by hand may leave it.
                    connection.execute(row.with_for_update())
                    keep_use_out(connection)
                    began = monotonic()
                    refused = await asyncio.gather(
                        refusal_of(
                            counter.operator.RevokeConsent(pb.RevokeConsentRequest(name=given.name))
                        ),
                        refusal_of(DisclosureServiceStub(publisher).RepairRecord(ending)),
                        refusal_of(counter.use(given)),
                    )
                    assert monotonic() - began < _LATE_SECONDS
                assert {each.reason for each in refused} == {"TEMPORARILY_UNAVAILABLE"}
                assert all(each.retry_after for each in refused)
                await DisclosureServiceStub(publisher).RepairRecord(ending)
                await counter.operator.RevokeConsent(pb.RevokeConsentRequest(name=given.name))
