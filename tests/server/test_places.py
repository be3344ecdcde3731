"""Whatever one party holds open, others are served, and administrators can act."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from creditgate.refusal import Refused
from creditgate.v1.brake_service_pb2 import ListBrakesRequest
from creditgate.v1.brake_service_pb2_grpc import BrakeServiceStub
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.caller import Caller
from gateway.server.places import Places
from sdk.refusals import explain
from tests.installation import ADMINISTRATOR, Gateway, eventually, furnished
from tests.server.calls import query
from tests.stores import SqliteStores

_MOST: Final = 40
_BETA: Final = "beta-one"
_ROLES: Final = {
    "alpha": ClientRole.CLIENT_ROLE_OPERATOR,
    "chief": ClientRole.CLIENT_ROLE_ADMINISTRATOR,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowded(sqlite_stores: SqliteStores) -> AsyncIterator[Gateway]:
    """A gateway of few places, with two operators."""
    with furnished(sqlite_stores, max_concurrent_calls=_MOST) as installation:
        installation.license("beta", "L-BETA")
        installation.enrol(_BETA, ClientRole.CLIENT_ROLE_OPERATOR, "beta")
        async with installation.running() as gateway:
            yield gateway


@asynccontextmanager
async def _silent(gateway: Gateway, method: str) -> AsyncGenerator[list[Any]]:
    """Hold more streams of alpha's open than there are places, and send nothing."""
    async with gateway.channel() as one, gateway.channel() as other:
        stubs = [
            getattr(stub(channel), method)
            for channel in (one, other)
            for stub in (CreditRecordServiceStub, ConformanceServiceStub)
            if hasattr(stub(channel), method)
        ]
        calls: list[Any] = [open_() for open_ in stubs for _ in range(_MOST)]
        try:

            async def refused() -> bool:
                return sum(call.done() for call in calls) >= len(calls) - _MOST // 2

            await eventually(refused)
            yield calls
        finally:
            for call in calls:
                call.cancel()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("method", "suspended"), [("DeliverSubjectRecords", False), ("AttestCopies", True)]
)
async def test_an_operator_that_holds_every_stream_it_can_shuts_out_nobody(
    crowded: Gateway, method: str, suspended: bool
) -> None:
    if suspended:
        crowded.installation.suspend()
    async with (
        crowded.channel(_BETA) as beta,
        crowded.channel(ADMINISTRATOR) as administrator,
        _silent(crowded, method) as calls,
    ):
        for _ in range(3):
            await query(beta)
        await BrakeServiceStub(administrator).ListBrakes(ListBrakesRequest(), timeout=5)
        held = sum(not call.done() for call in calls)
        told = {await call.code() for call in calls if call.done()}
    assert 0 < held <= _MOST // 2
    assert told == {grpc.StatusCode.RESOURCE_EXHAUSTED}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_stream_that_begins_with_silence_is_soon_ended(
    crowded: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.transport._FIRST_SECONDS", 1)
    began = time.monotonic()
    async with crowded.channel(_BETA) as channel:
        call = CreditRecordServiceStub(channel).DeliverSubjectRecords()
        async with asyncio.timeout(5):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
    assert explain(caught.value).reason == "RATE_EXCEEDED"
    assert 1 <= time.monotonic() - began < 4


def _caller(name: str) -> Caller:
    role = _ROLES.get(name, ClientRole.CLIENT_ROLE_OPERATOR)
    operator = "" if role == ClientRole.CLIENT_ROLE_ADMINISTRATOR else name
    return Caller(f"{name}-client", role, operator, frozenset(), 0)


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.sampled_from(["alpha", "beta", "gamma", "chief"]), st.booleans())),
)
def test_nobody_holds_more_places_than_were_free_and_none_are_lost(
    most: int, deeds: list[tuple[str, bool]]
) -> None:
    places, held = Places(most), Counter[str]()
    others = most - most // 10
    for name, takes in deeds:
        caller = _caller(name)
        whose = caller.asker
        if takes:
            mine = most if name == "chief" else others
            free = mine - places.taken
            try:
                assert places.take(caller) == whose
                held[whose] += 1
                assert held[whose] <= free
            except Refused:
                assert held[whose] + 1 > free
        elif held[whose]:
            places.give_back(whose)
            held[whose] -= 1
        assert places.taken == held.total() <= most


def test_places_kept_for_administrators_are_nobody_elses() -> None:
    places = Places(100)
    names = [f"operator-{number}" for number in range(100)]
    for caller in map(_caller, names):
        while True:
            try:
                places.take(caller)
            except Refused:
                break
    assert places.taken == 90
    assert places.take(_caller("chief"))
