"""Three processes under load: what is taken away stops everywhere within 1 s (G4)."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest

from creditgate.v1.operator_service_pb2 import ClientRole
from tests.authority.faults import broken, hanging
from tests.authority.hammer import Told
from tests.authority.loaded import (
    OFFICE,
    Loaded,
    Withdrawal,
    enrol,
    loaded,
    remove_certificate,
    remove_client,
    remove_key,
    revoke_token,
    suspend_operator,
    withdraw_scope,
)
from tests.examples import rarely_on_sqlite
from tests.installation import Installation, eventually

PROCESSES = 3
LEASE = 1.0
CONTROL = "control"


class Case(NamedTuple):
    """What is taken away, what its client does, and why it is refused then."""

    withdrawal: Withdrawal
    asks: str
    reason: str


CASES: Mapping[str, Case] = {
    "scope": Case(withdraw_scope, "records", "SCOPE_NOT_GRANTED"),
    "operator": Case(suspend_operator, "records", "OPERATOR_SUSPENDED"),
    "token": Case(revoke_token, "records", "TOKEN_REVOKED"),
    "client": Case(remove_client, "records", "CLIENT_NOT_ACTIVE"),
    "certificate": Case(remove_certificate, "records", "CLIENT_NOT_ACTIVE"),
    "key": Case(remove_key, "token", "invalid_client"),
    "token-of-key": Case(remove_key, "records", "CLIENT_NOT_ACTIVE"),
}


def asked(number: int) -> dict[str, str]:
    """Return the operators of a round with what their clients ask for, and the control."""
    return {f"{CONTROL}-{number}": "records"} | {
        f"{name}-{number}": case.asks for name, case in CASES.items()
    }


def after(at: float, ends: Sequence[Told]) -> str:
    """Say how long after ``at`` each process began the last call it answered."""
    return " ".join(f"{1e3 * (one.last - at):.0f} ms" for one in ends)


async def take_all_away(load: Loaded, number: int) -> dict[str, float]:
    """Take every case's thing away, at each process in turn; return when each was done."""
    acknowledged: dict[str, float] = {}
    for turn, (name, case) in enumerate(CASES.items()):
        operator_id = f"{name}-{number}"
        await case.withdrawal(load, operator_id, turn % PROCESSES)
        acknowledged[operator_id] = time.monotonic()
    return acknowledged


async def require_stopped(load: Loaded, acknowledged: Mapping[str, float]) -> None:
    """Fail unless every process answered its last call within a second, and refuses since."""
    before = await load.told()
    await asyncio.sleep(1.2 * LEASE)
    told = await load.told()
    for operator_id, at in acknowledged.items():
        case = CASES[operator_id.rpartition("-")[0]]
        ends = [told[operator_id, process] for process in range(PROCESSES)]
        print(f"{operator_id}: last answered {after(at, ends)} after the acknowledgement")
        assert [one.reason for one in ends] == [case.reason] * PROCESSES
        assert max(one.last for one in ends) < at + LEASE
        assert min(one.last for one in ends) > at - 3 * LEASE, "it was not under load"
    for name, process in told:
        if name.startswith(CONTROL):
            assert told[name, process].answered > before[name, process].answered


@pytest.mark.parametrize(
    "rounds",
    [pytest.param(1, id="1 round"), pytest.param(10, id="10 rounds", marks=pytest.mark.soak)],
)
@rarely_on_sqlite
async def test_what_is_taken_away_under_load_stops_on_every_process_within_a_second(
    installation: Installation, rounds: int
) -> None:
    installation.enrol(OFFICE, ClientRole.CLIENT_ROLE_ADMINISTRATOR)
    for number in range(rounds):
        operators = asked(number)
        enrol(installation, operators)
        async with loaded(installation, operators, PROCESSES) as load:
            await require_stopped(load, await take_all_away(load, number))


@rarely_on_sqlite
async def test_a_process_that_cannot_see_authority_stops_within_its_lease(
    installation: Installation,
) -> None:
    enrol(installation, ["steady-0"])
    engine = installation.engines.authority
    lose = hanging if engine.dialect.name == "postgresql" else broken
    async with loaded(installation, {"steady-0": "records"}, 2) as load:
        with lose(engine):
            lost_at = time.monotonic()
            await asyncio.sleep(LEASE + 0.3)
            during = list((await load.told()).values())
        print(f"last answered {after(lost_at, during)} after authority was lost")
        assert [one.reason for one in during] == ["AUTHORITY_UNKNOWN"] * 2
        assert max(one.last for one in during) < lost_at + LEASE

        async def all_answer_again() -> bool:
            return not any(one.reason for one in (await load.told()).values())

        await eventually(all_answer_again)
