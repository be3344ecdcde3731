"""A process that is stopped between metering and answering hands nothing out once it goes on: what was
taken back meanwhile stays taken back (G4), and what was charged is given to a retry, judged anew."""

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from time import monotonic
from typing import Final, NamedTuple

import grpc
from sqlalchemy import Engine, func, select

from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from gateway.meter.tables import USAGE
from gateway.respond.in_time import MOST_SECONDS
from gateway.storage.engines import reading
from sdk.refusals import explain
from sdk.request_ids import new_request_id
from tests.consents.counter import Counter, furnish, open_counter
from tests.installation import CONSENT_ITEM, PURPOSE, Installation, furnished
from tests.stores import PostgresStores, SqliteStores

_CALLERS: Final = 12
_ROUNDS: Final = 300
_DELIVERED_SECONDS: Final = 0.2
_WAITING: Final = 4


class _Told(NamedTuple):
    """What a call was told, and when: records, or the reason of a refusal."""

    request_id: str
    at: float
    reason: str


async def _ask(counter: Counter, subject: str, consent: str, request_id: str) -> _Told:
    request = records_pb.GetSubjectRecordsRequest(
        subject=subject,
        purpose=PURPOSE,
        items=[CONSENT_ITEM],
        consent=consent,
        request_id=request_id,
    )
    try:
        await CreditRecordServiceStub(counter.alpha).GetSubjectRecords(request, timeout=20)
    except grpc.aio.AioRpcError as error:
        return _Told(request_id, monotonic(), explain(error).reason)
    return _Told(request_id, monotonic(), "")


class _Asking:
    """Asks under one consent again and again until it is refused."""

    def __init__(self, counter: Counter, subject: str, consent: str) -> None:
        self.told: list[_Told] = []
        self._tasks = [
            asyncio.create_task(self._on_and_on(counter, subject, consent)) for _ in range(_CALLERS)
        ]

    async def _on_and_on(self, counter: Counter, subject: str, consent: str) -> None:
        while not self.told or not self.told[-1].reason:
            self.told.append(await _ask(counter, subject, consent, new_request_id()))

    async def over(self) -> None:
        """Wait until all were refused."""
        await asyncio.gather(*self._tasks)


def _metered(installation: Installation, consent: str) -> set[str]:
    query = select(USAGE.c.request_id).where(USAGE.c.consent == consent)
    with reading(installation.engines.records) as connection:
        return set(connection.execute(query).scalars())


def _is_locked(engine: Engine) -> bool:
    """Tell whether somebody who is amid a transaction keeps the file of SQLite from others."""
    if engine.dialect.name != "sqlite":
        return False
    assert engine.url.database is not None
    with closing(sqlite3.connect(engine.url.database, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        connection.rollback()
    return False


async def _stopped_behind_the_ledger(
    installation: Installation, pid: int, asking: _Asking, consent: str
) -> set[str]:
    """Stop a process where it has metered what it has not answered, and return what."""
    for number in range(_ROUNDS):
        await asyncio.sleep(0.02 + 0.001_1 * (number % 10))
        os.kill(pid, signal.SIGSTOP)
        # What is on its way comes in.
        await asyncio.sleep(_DELIVERED_SECONDS)
        metered = await asyncio.to_thread(_metered, installation, consent)
        waiting = metered - {each.request_id for each in asking.told}
        if len(waiting) >= _WAITING and not await asyncio.to_thread(
            _is_locked, installation.engines.records
        ):
            return waiting
        os.kill(pid, signal.SIGCONT)
    raise AssertionError("it was never stopped between metering and answering")


async def test_what_was_metered_before_a_pause_is_not_handed_out_after_it(
    stores: SqliteStores | PostgresStores,
) -> None:
    with furnished(stores) as installation:
        furnish(installation)
        async with (
            installation.process() as here,
            installation.process() as there,
            open_counter(here.gateway) as counter,
            open_counter(there.gateway) as through_there,
        ):
            subject = await counter.published()
            given = await counter.given(subject)
            asking = _Asking(through_there, subject, given.name)
            pid = there.process.pid
            waiting = await _stopped_behind_the_ledger(installation, pid, asking, given.name)
            try:
                await counter.operator.RevokeConsent(pb.RevokeConsentRequest(name=given.name))
                revoked = monotonic()
                await asyncio.sleep(MOST_SECONDS)
            finally:
                os.kill(pid, signal.SIGCONT)
            await asyncio.wait_for(asking.over(), 20)
            of_waiting = [each for each in asking.told if each.request_id in waiting]
            late = {each.request_id for each in of_waiting if not each.reason}
            # One or the other was with gRPC or the network already, which nobody calls back.
            assert len(late) * 2 < len(waiting)
            assert {each.reason for each in of_waiting} - {""} == {"TEMPORARILY_UNAVAILABLE"}
            after = [each for each in asking.told if each.at > revoked and not each.reason]
            assert {each.request_id for each in after} <= late
            # What it was charged for is judged anew, and given by nobody.
            again = [await _ask(counter, subject, given.name, each) for each in sorted(waiting)]
            assert {each.reason for each in again} == {"CONSENT_REVOKED"}
        with reading(installation.engines.records) as connection:
            twice = connection.execute(
                select(USAGE.c.request_id).group_by(USAGE.c.request_id).having(func.count() > 1)
            ).all()
        assert not twice
