"""Who must agree with its use, on a real ledger, its logs and cosignatures: on both stores."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from joserfc.jwk import KeySet
from sqlalchemy import insert, select

from creditgate.refusal import Refused
from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.store import SqlAlerts
from gateway.conformance.outage import Outage
from gateway.pki.client_keys import make_assertion_key
from gateway.storage.engines import Engines, reading
from gateway.storage.writes import WRITES
from gateway.usage.charged import is_charged
from gateway.usage.cosigning import Cosignatures, Cosigner
from gateway.usage.duties import AgreementDuties, Unsigned
from gateway.usage.places import made_at
from gateway.usage.policy import AgreementPolicy
from gateway.usage.sparing import SparedDuties
from gateway.usage.tables import COSIGNATURES
from gateway.usage.unsigned import COMMAND, UnsignedUse
from sdk.signing import SigningKey
from sdk.usage_agreements import COSIGNATURE_TYPE, checkpoint_digest
from tests.clock import NOW
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import claim
from tests.usage.world import Used

pytestmark = rarely_on_postgresql

DAY = 86_400
POLICY = AgreementPolicy(remind=timedelta(days=7), refuse=timedelta(days=14))
CLIENT = "alpha-client"


class Agreeing(Used):
    """Operator alpha, beta beside it, and the duty of both."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key = make_assertion_key()
        self.cosignatures = Cosignatures(self.engines.evidence, self.logs)
        self.duties = self.another_keeper()
        self.numbers = 0
        self.notes = {0: ""}

    def another_keeper(self) -> AgreementDuties:
        """Return what works out duties, as another process has it."""
        return AgreementDuties(self.engines.records, self.engines.evidence, self.logs, POLICY)

    def use(self, operator_id: str = "alpha") -> None:
        """Use once and have it logged."""
        self.numbers += 1
        now = self.clock.now()
        made = claim(f"r-{self.numbers}")
        self.charge(made._replace(operator_id=operator_id, served_at=now, good_until=now + 1))
        self.follow()
        log = self.logs.of(operator_id)
        assert log is not None
        latest = log.latest()
        assert latest is not None
        self.notes[self.logs.standing(operator_id).size] = latest.note

    def look(self) -> None:
        """Work out the duties."""
        self.duties.step(["alpha", "beta", "gone"], self.clock.now())

    def pass_days(self, days: float) -> None:
        """Let time pass, and look each day."""
        whole, rest = divmod(int(days * DAY), DAY)
        for seconds in (*[DAY] * whole, *([rest] if rest else ())):
            self.clock.at += seconds
            self.look()

    def agree(self, size: int, key: SigningKey | None = None, sub: str = "alpha") -> int:
        """Cosign the checkpoint of a size, by alpha's key or another."""
        note = self.notes[size]
        claims = {
            "iss": CLIENT,
            "sub": sub,
            "iat": self.clock.now(),
            "checkpoint_sha256": checkpoint_digest(note),
        }
        own = SigningKey.read(self.key.key)
        signed = (key or own).sign(claims, typ=COSIGNATURE_TYPE)
        who = Cosigner("alpha", CLIENT, KeySet.import_key_set(json.loads(self.key.jwks)))
        return self.cosignatures.keep(who, note, signed, self.clock.now())


@pytest.fixture
def world(engines: Engines) -> Agreeing:
    """A world on each kind of store."""
    return Agreeing(engines)


def refused_from(world: Agreeing) -> None:
    """Let alpha use thrice, and come to be refused."""
    world.use()
    world.look()
    for _ in range(2):
        world.pass_days(1)
        world.use()
    world.pass_days(19)
    assert world.duties.refused() == {"alpha": Unsigned(NOW, 3)}


@always_on_postgresql
def test_who_agrees_for_the_first_time_beside_another_process_agrees(world: Agreeing) -> None:
    world.use()
    world.use()
    others = {"size": 1, "checkpoint": world.notes[1], "cosignature": "", "client_id": CLIENT}
    with ThreadPoolExecutor(1) as thread:
        with world.engines.evidence.begin() as connection:
            first = insert(COSIGNATURES).values(operator_id="alpha", jwk="", at=NOW, **others)
            connection.execute(first)
            agreed = thread.submit(world.agree, 2)
            # It comes as far as it can while the other one is not committed.
            time.sleep(0.5)
        assert agreed.result() == 2
    newest = world.cosignatures.newest("alpha")
    assert newest is not None
    assert (newest.size, newest.checkpoint) == (2, world.notes[2])


@always_on_postgresql
def test_operator_is_reminded_once_then_refused_and_others_are_not(world: Agreeing) -> None:
    world.use("beta")
    world.look()
    world.clock.at += 10 * DAY
    world.use()
    world.look()
    world.pass_days(7)
    world.pass_days(1)
    alerts = SqlAlerts(world.engines.evidence).listed("", acknowledged=True, before=None, limit=9)
    assert [(each.operator_id, each.kind, each.started_at, each.counted) for each in alerts] == [
        ("alpha", AlertKind.ALERT_KIND_UNSIGNED_USAGE, NOW + 10 * DAY, 7 * 24),
        ("beta", AlertKind.ALERT_KIND_UNSIGNED_USAGE, NOW, 10 * 24),
    ]
    assert alerts[0].threshold == 7 * 24
    assert world.duties.refused() == {}
    # It was reminded late: it has the whole time from then.
    world.pass_days(6)
    assert world.duties.refused() == {"beta": Unsigned(NOW, 1)}


@always_on_postgresql
def test_agreement_that_reaches_far_enough_lets_go_on_whoever_looks(world: Agreeing) -> None:
    refused_from(world)
    assert world.agree(2) == 2
    assert world.duties.refused() == {"alpha": Unsigned(NOW, 3)}
    world.look()
    assert world.duties.refused() == {"alpha": Unsigned(NOW + 2 * DAY, 3)}
    assert world.duties.of("alpha").due == 3
    assert world.agree(3) == 3
    assert world.another_keeper().refused() == {}
    assert world.duties.of("alpha") == (3, None, None, 0)
    world.look()
    assert world.duties.refused() == {}


def test_older_head_does_not_undo_nor_prolong(world: Agreeing) -> None:
    refused_from(world)
    world.agree(3)
    world.look()
    world.use()
    world.look()
    world.pass_days(20)
    # Agreed with long ago, and again: the time runs on.
    world.agree(2)
    world.pass_days(1)
    assert world.duties.refused() == {"alpha": Unsigned(NOW + 21 * DAY, 4)}


def test_partial_agreements_cannot_keep_old_use_unsigned(world: Agreeing) -> None:
    world.use()
    world.look()
    world.clock.at += 1
    for _ in range(3):
        world.use()
    for size in (1, 2, 3):
        world.pass_days(6)
        world.agree(size)
        world.look()
    world.pass_days(3)
    assert world.duties.refused() == {"alpha": Unsigned(NOW + 1, 4)}


def test_another_key_or_operator_or_a_fork_lets_nobody_go_on(world: Agreeing) -> None:
    refused_from(world)
    another = SigningKey.read(make_assertion_key().key)
    for wrong in ({"key": another}, {"sub": "beta"}):
        with pytest.raises(Refused):
            world.agree(3, **wrong)  # pyright: ignore[reportArgumentType]
    world.notes[3] = world.notes[3].replace("\n3\n", "\n4\n")
    with pytest.raises(Refused):
        world.agree(3)
    assert set(world.duties.refused()) == {"alpha"}


def test_duty_stands_through_restarts_and_a_clock_set_back(world: Agreeing) -> None:
    refused_from(world)
    world.clock.at = NOW - 300 * DAY
    world.duties = world.another_keeper()
    world.look()
    assert world.duties.refused() == {"alpha": Unsigned(NOW, 3)}


@always_on_postgresql
def test_two_keepers_at_once_come_to_the_same(world: Agreeing) -> None:
    refused_from(world)
    other = world.another_keeper()
    world.agree(3)
    world.use()
    world.clock.at += 30 * DAY
    for keeper in (other, world.duties, other):
        keeper.step(["alpha"], world.clock.now())
    # What was used after agreeing is counted from when it was made.
    assert world.duties.refused() == {"alpha": Unsigned(NOW + 21 * DAY, 4)}


def test_operators_that_are_not_asked_about_owe_nothing(world: Agreeing) -> None:
    world.use("region")
    world.pass_days(90)
    world.pass_days(90)
    assert world.duties.refused() == {}
    assert world.duties.of("region") == (1, None, None, 0)
    assert world.duties.of("nobody") == (0, None, None, 0)


@always_on_postgresql
def test_each_change_of_a_duty_is_told_to_the_log_of_decisions(world: Agreeing) -> None:
    refused_from(world)
    with reading(world.engines.evidence) as connection:
        told = connection.execute(
            select(WRITES.c.row_key).where(WRITES.c.written == "usage_duties")
        ).scalars()
        assert set(told) == {'["alpha"]'}


def test_instant_of_a_place_is_found_among_those_of_others(world: Agreeing) -> None:
    for number in range(40):
        world.clock.at = NOW + number
        world.use("alpha" if number % 3 else "beta")
    sequence = world.logs.standing("alpha").sequence
    with reading(world.engines.records) as connection:
        found = [made_at(connection, "alpha", place, sequence) for place in range(27)]
    assert found == [*(NOW + number for number in range(40) if number % 3), None]


async def test_refusal_tells_since_when_and_what_mends_it(world: Agreeing) -> None:
    refused_from(world)
    unsigned = UnsignedUse(
        world.duties.refused, partial(is_charged, world.engines.records), poll_seconds=0.05
    )
    await unsigned.start()
    unsigned.require("beta")
    with pytest.raises(Refused) as caught:
        unsigned.require("alpha")
    assert caught.value.metadata == {
        "since": "2026-03-31T23:33:20Z",
        "size": "3",
        "command": COMMAND,
    }
    world.agree(3)
    asked = time.monotonic()
    while True:
        try:
            unsigned.require("alpha")
            break
        except Refused:
            assert time.monotonic() < asked + 5
            await asyncio.sleep(0.01)
    await unsigned.stop()


def test_who_was_reminded_before_an_outage_has_as_much_time_after_it(world: Agreeing) -> None:
    world.use()
    world.use("beta")
    world.look()
    world.pass_days(20)
    began = world.clock.now()
    for away, left in ((30 * DAY, DAY), (2 * DAY, DAY), (DAY, 4 * 3_600)):
        if left < DAY:
            world.clock.at += DAY - 60
            world.look()
            began = world.clock.now()
        world.clock.at += away
        ended = world.clock.now()
        with world.engines.evidence.begin() as connection:
            SparedDuties(POLICY).put_off(connection, Outage(began, ended, 4 * 3_600))
        world.look()
        assert world.duties.refused() == {}
        assert world.duties.of("alpha").refused_from == ended + left
        began = ended
    world.clock.at += 4 * 3_600
    world.look()
    assert world.duties.refused().keys() == {"alpha", "beta"}


def test_an_outage_spares_nobody_that_was_refused_before(world: Agreeing) -> None:
    world.use()
    world.look()
    world.pass_days(21)
    refused, told = world.duties.refused(), world.duties.of("alpha")
    assert refused
    with world.engines.evidence.begin() as connection:
        now = world.clock.now()
        SparedDuties(POLICY).put_off(connection, Outage(now, now + 9 * DAY, 0))
    world.pass_days(1)
    assert world.duties.refused() == refused
    assert world.duties.of("alpha") == told
