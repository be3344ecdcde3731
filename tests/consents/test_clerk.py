"""The clerk: what became of consents is written down once, by one process at a time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import Engine, func, select, update

from consent.changing import Act
from consent.model import Actor, Consent
from consent.sql import SqlConsents
from consent.states import EXHAUSTED, EXPIRED, GRANTED, PAUSED, REVOKED
from consent.tables import CONSENT, SUBJECT_USE
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.consents import clerk, comings
from gateway.consents.clerk import ConsentClerk
from gateway.storage.engines import open_engines
from gateway.storage.turn import CONSENTS, open_turn
from operators.model import OPERATOR
from tests import consenting
from tests.clock import NOW, StandingClock
from tests.consent.store import ConsentStore
from tests.consents.counter import (
    DAY,
    OTHER,
    furnish,
    id_of,
    new_subject,
    open_counter,
    refusal_of,
    set_operator,
)
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_ID,
    PUBLISHER,
    Installation,
    company,
    eventually,
)
from tests.server.calls import draft, publish, query

pytestmark = rarely_on_postgresql

_SUSPENDED = OperatorState.OPERATOR_STATE_SUSPENDED
_ACTIVE = OperatorState.OPERATOR_STATE_ACTIVE
_REVOKED = OperatorState.OPERATOR_STATE_REVOKED


class Office:
    """The stores of an installation at a time that stands, and clerks that work there."""

    def __init__(self, database: tuple[str, object]) -> None:
        self.clock = StandingClock()
        self.installation = Installation(*database, clock=self.clock)  # type: ignore[arg-type]
        self.installation.furnish()
        furnish(self.installation)
        self.consents = SqlConsents(self.installation.engines.records)
        self.ended: list[str] = []

    def clerk(
        self, operators: Callable[[], Iterable[str]] = lambda: (OPERATOR_ID, OTHER)
    ) -> ConsentClerk:
        """Return a clerk of a process of its own."""
        engines = open_engines(self.installation.database, self.installation.folder)
        return ConsentClerk(
            self.consents,
            engines.records,
            self.installation.log,
            operators,
            self.ended.append,
            self.clock,
            0.01,
        )

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[ConsentClerk]:
        """Let a clerk work while the context lasts."""
        clerk = self.clerk()
        await clerk.start()
        try:
            yield clerk
        finally:
            await clerk.stop()

    def given(self, operator_id: str = OTHER, **changed: object) -> Consent:
        """Return a consent that was granted."""
        agreed = consenting.terms([CONSENT_ITEM], **{"valid_until": NOW + DAY, **changed})
        return consenting.given(self.consents, new_subject(), agreed, operator_id=operator_id)

    def use(self, consent: Consent, request_id: str) -> None:
        """Let the ledger give an answer that relies on a consent."""
        ConsentStore(self.installation.engines.records).use(consent, NOW, request_id)

    def state(self, consent: Consent) -> int:
        """Return where a consent stands as written."""
        written = self.consents.get(consent.consent_id)
        assert written is not None
        return written.state

    async def comes_to(self, consent: Consent, state: int) -> None:
        """Wait until a consent is written in this state."""

        async def written() -> bool:
            return self.state(consent) == state

        await eventually(written)

    def told(self, consent: Consent) -> list[tuple[int, Actor, str]]:
        """Return what the subject was told: states, who caused them, why."""
        return [
            (change.state, change.actor, change.reason)
            for change in self.consents.changes(consent_id=consent.consent_id, limit=100)
            if change.actor not in (Actor.SUBJECT, Actor.OPERATOR)
        ]


@pytest.fixture
def office(store: tuple[str, object]) -> Iterable[Office]:
    """Stores of each kind."""
    opened = Office(store)
    yield opened
    opened.installation.close()


@always_on_postgresql
async def test_suspending_pauses_and_reinstating_resumes_what_is_still_valid(
    office: Office,
) -> None:
    stays, short = office.given(), office.given(valid_until=NOW + 100)
    others = office.given(OPERATOR_ID)
    async with office.working():
        set_operator(office.installation, _SUSPENDED, "风险排查")
        await office.comes_to(stays, PAUSED)
        await office.comes_to(short, PAUSED)
        office.clock.at += 200
        set_operator(office.installation, _ACTIVE, "排查完毕")
        await office.comes_to(stays, GRANTED)
        await office.comes_to(short, EXPIRED)
    assert office.told(stays) == [
        (PAUSED, Actor.ADMINISTRATOR, "风险排查"),
        (GRANTED, Actor.ADMINISTRATOR, "排查完毕"),
    ]
    assert office.told(short) == [
        (PAUSED, Actor.ADMINISTRATOR, "风险排查"),
        (EXPIRED, Actor.GATEWAY, ""),
    ]
    assert office.told(others) == []


async def test_revoking_an_operator_ends_its_consents_whatever_their_state(
    office: Office,
) -> None:
    granted, paused = office.given(), office.given()
    asked = consenting.asked(
        office.consents, company(1), consenting.terms([CONSENT_ITEM]), operator_id=OTHER
    )
    refused = consenting.moved(
        office.consents,
        consenting.asked(
            office.consents, company(2), consenting.terms([CONSENT_ITEM]), operator_id=OTHER
        ),
        "refuse",
    )
    consenting.moved(office.consents, paused, "pause")
    async with office.working():
        set_operator(office.installation, _REVOKED, "吊销许可")
        for consent in (granted, paused, asked):
            await office.comes_to(consent, REVOKED)
            assert office.told(consent)[-1] == (REVOKED, Actor.ADMINISTRATOR, "吊销许可")

        async def all_ended() -> bool:
            return set(office.ended) >= {each.name for each in (granted, paused, asked)}

        await eventually(all_ended)
    assert office.told(refused) == []


async def test_revoking_an_operator_shortens_what_it_may_keep_of_ended_consents(
    office: Office,
) -> None:
    spent, over, gone, unused = (office.given(valid_until=NOW + 100) for _ in range(4))
    for number, each in enumerate((spent, over, gone)):
        office.use(each, f"use-{number}")
    for each in (spent, over, gone, unused):
        office.consents.settle(each.consent_id, NOW + 200)
    office.consents.acknowledge(gone.consent_id, OTHER, NOW + 200, "c", NOW + 200)
    office.clock.at = NOW + DAY
    async with office.working():
        set_operator(office.installation, _REVOKED, "吊销许可")
        for each in (spent, over):
            await office.comes_to(each, REVOKED)
            assert office.told(each)[-1] == (REVOKED, Actor.ADMINISTRATOR, "吊销许可")
            (removal,) = office.consents.removals([each.consent_id]).values()
            assert removal.deadline == NOW + 2 * DAY
    for each in (gone, unused):
        assert office.state(each) == EXPIRED


@always_on_postgresql
async def test_the_end_of_a_data_life_is_told_while_the_consent_is_in_force(
    office: Office,
) -> None:
    before = office.given(valid_until=NOW + 9 * DAY, data_life_seconds=DAY)
    office.use(before, "use-0")
    async with office.working():
        office.clock.at = NOW + DAY + 5

        async def told() -> bool:
            return before.consent_id in office.consents.removals([before.consent_id])

        await eventually(told)
    assert office.told(before) == [(GRANTED, Actor.GATEWAY, "")]
    (removal,) = office.consents.removals([before.consent_id]).values()
    assert (removal.deadline, removal.report_by) == (NOW + DAY, NOW + 2 * DAY + 5)


async def test_a_consent_that_cannot_be_read_holds_up_no_other(office: Office) -> None:
    unreadable, due = office.given(valid_until=NOW + 50), office.given(valid_until=NOW + 100)
    paused = office.given(valid_until=NOW + DAY)
    with office.installation.engines.records.begin() as connection:
        connection.execute(
            update(CONSENT)
            .where(CONSENT.c.consent_id == unreadable.consent_id)
            .values(document='{"of": "a later version"}')
        )
    async with office.working():
        set_operator(office.installation, _SUSPENDED)
        await office.comes_to(paused, PAUSED)
        office.clock.at += 200
        await office.comes_to(due, EXPIRED)


async def test_however_many_cannot_be_read_none_of_the_others_waits(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerk, "_AT_ONCE", 2)
    unreadable = [
        office.given(valid_until=NOW + 50 * (1 + number % 2 * DAY)).consent_id
        for number in range(8)
    ]
    over = office.given(valid_until=NOW + 100)
    lives = office.given(valid_until=NOW + 9 * DAY, data_life_seconds=100)
    office.use(lives, "use-0")
    with office.installation.engines.records.begin() as connection:
        connection.execute(
            update(CONSENT)
            .where(CONSENT.c.consent_id.in_(unreadable))
            .values(document='{"of": "a later version"}')
        )
    async with office.working():
        office.clock.at += 200
        await office.comes_to(over, EXPIRED)

        async def told() -> bool:
            return lives.consent_id in office.consents.removals([lives.consent_id])

        await eventually(told)


@always_on_postgresql
async def test_what_happened_while_no_clerk_worked_is_written_afterwards(
    office: Office,
) -> None:
    consent = office.given()
    set_operator(office.installation, _SUSPENDED)
    set_operator(office.installation, _REVOKED)
    async with office.working():
        await office.comes_to(consent, REVOKED)


async def test_a_consent_granted_in_the_last_moment_is_paused_too(office: Office) -> None:
    """Another process may act for a second on authority as it was."""
    early = office.given()
    async with office.working():
        set_operator(office.installation, _SUSPENDED)
        await office.comes_to(early, PAUSED)
        late = office.given()
        await office.comes_to(late, PAUSED)


async def test_suspensions_that_are_over_are_told_once_and_in_order(office: Office) -> None:
    consent, others = office.given(), office.given(OPERATOR_ID)
    told: list[tuple[int, Actor, str]] = []
    for times in range(2):
        set_operator(office.installation, _SUSPENDED, f"风险排查 {times}")
        set_operator(office.installation, _ACTIVE, f"排查完毕 {times}")
        told += [
            (PAUSED, Actor.ADMINISTRATOR, f"风险排查 {times}"),
            (GRANTED, Actor.ADMINISTRATOR, f"排查完毕 {times}"),
        ]

    async def all_told() -> bool:
        return office.told(consent) == told

    # By two clerks, one after the other, who both go through what is new again and again.
    for _ in range(2):
        async with office.working():
            await eventually(all_told)
            await asyncio.sleep(0.1)
    assert office.told(consent) == told
    assert office.told(others) == []
    assert office.state(consent) == GRANTED


async def test_what_was_granted_after_a_suspension_was_over_was_never_under_it(
    office: Office,
) -> None:
    set_operator(office.installation, _SUSPENDED)
    set_operator(office.installation, _ACTIVE)
    before = office.given()
    office.clock.at += 10
    asked = consenting.asked(
        office.consents, company(4), consenting.terms([CONSENT_ITEM]), operator_id=OTHER
    )
    act = Act(Actor.SUBJECT, "", "", office.clock.at)
    also = {"granted_at": office.clock.at}
    after = office.consents.move(asked.consent_id, "grant", act, also=also)
    async with office.working():

        async def told() -> bool:
            return len(office.told(before)) == 2

        await eventually(told)
        await asyncio.sleep(0.1)
    assert office.told(after) == []


def test_what_ended_meanwhile_stays_ended_and_keeps_no_other(office: Office) -> None:
    over, stays = office.given(valid_until=NOW + 100), office.given()
    for consent in (over, stays):
        consenting.moved(office.consents, consent, "pause")
    newest = office.installation.log.history(kind=OPERATOR, id=OTHER, after=0, limit=9)[-1]
    moved = list(comings.follow(office.consents, newest, NOW + 200))
    assert moved == sorted([over.consent_id, stays.consent_id])
    assert (office.state(over), office.state(stays)) == (EXPIRED, GRANTED)


@always_on_postgresql
async def test_what_time_has_ended_is_written_with_the_time_it_ended_at(office: Office) -> None:
    over = office.given()
    unanswered = consenting.asked(
        office.consents, company(3), consenting.terms([CONSENT_ITEM]), operator_id=OTHER
    )
    async with office.working():
        office.clock.at = NOW + 2 * DAY
        await office.comes_to(over, EXPIRED)
        await office.comes_to(unanswered, EXPIRED)
    *_, end = office.consents.changes(consent_id=over.consent_id, limit=9)
    assert (end.at, end.removal_deadline) == (NOW + DAY, None)


async def test_what_one_answer_has_used_up_is_written_with_the_duty_to_remove(
    embedded: Installation,
) -> None:
    furnish(embedded)
    async with embedded.running() as gateway, open_counter(gateway) as counter:
        once = counter.terms(access_mode=pb.CONSENT_ACCESS_MODE_ONCE)
        consent = await counter.given(await counter.published(), once)
        await counter.use(consent, request_id="first")

        async def written() -> bool:
            stored = counter.consents.get(id_of(consent.name))
            return stored is not None and stored.state == EXHAUSTED

        # Before it is written, too, everybody is told how it stands.
        told = await counter.read(consent.name)
        assert told.state == pb.CONSENT_STATE_EXHAUSTED
        await eventually(written)
        # A retry of what used it up is answered still.
        await counter.use(consent, request_id="first")
        refusal = await refusal_of(counter.use(consent, request_id="second"))
        ended = await counter.read(consent.name)
    assert (refusal.status, refusal.reason) == ("RESOURCE_EXHAUSTED", "CONSENT_EXHAUSTED")
    assert ended.history[-1].actor == pb.CONSENT_ACTOR_GATEWAY
    assert ended.data_life_until == told.data_life_until
    served_at = ended.history[-1].event_time.seconds
    assert ended.data_life_until.seconds == served_at + 10 * DAY


async def test_one_failing_step_keeps_no_other_from_its_work(office: Office) -> None:
    consent = office.given()

    def unknown() -> Iterable[str]:
        raise RuntimeError("operators are not known")

    clerk = office.clerk(unknown)
    await clerk.start()
    try:
        office.clock.at = NOW + DAY
        await office.comes_to(consent, EXPIRED)
    finally:
        await clerk.stop()


@always_on_postgresql
async def test_of_two_processes_one_has_the_turn_until_it_ends(office: Office) -> None:
    installation = office.installation
    engines = [open_engines(installation.database, installation.folder) for _ in range(2)]
    first, second = [open_turn(each.records, CONSENTS) for each in engines]
    assert first.taken()
    assert first.taken()
    assert not second.taken()
    first.give_up()

    async def handed_over() -> bool:
        return second.taken()

    # The server frees a session's lock a moment after the session was closed.
    await eventually(handed_over)
    assert not first.taken()
    second.give_up()
    for each in engines:
        each.dispose()


@always_on_postgresql
async def test_who_has_not_the_turn_does_nothing(office: Office) -> None:
    consent = office.given()
    office.clock.at = NOW + DAY
    turn = open_turn(office.installation.engines.records, CONSENTS)
    assert turn.taken()
    async with office.working():
        await asyncio.sleep(0.2)
        assert office.state(consent) == GRANTED
        turn.give_up()
        await office.comes_to(consent, EXPIRED)


def uses(engine: Engine, subject: str) -> int:
    """Return how many answers the index has for a subject."""
    query_ = select(func.count()).where(SUBJECT_USE.c.subject == subject)
    with engine.connect() as connection:
        return connection.execute(query_).scalar_one()


@always_on_postgresql
async def test_another_process_goes_on_when_the_one_at_work_is_killed(
    installation: Installation,
) -> None:
    """G12: kill -9 of the process that has the turn loses nothing and doubles nothing."""
    furnish(installation)
    subject = new_subject()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(installation.process())
        second = await stack.enter_async_context(installation.process())
        async with open_counter(first.gateway) as counter:
            async with first.gateway.channel(PUBLISHER) as publisher:
                await publish(publisher, [draft("r-1", subject)])
            consent = await counter.given(by=counter.rival)
            await query(counter.alpha, subject)

        async def indexed() -> bool:
            return uses(installation.engines.records, subject) == 1

        await eventually(indexed)
        first.process.kill()
        await first.process.wait()
        set_operator(installation, _SUSPENDED)
        consents = SqlConsents(installation.engines.records)

        async def paused() -> bool:
            written = consents.get(id_of(consent.name))
            return written is not None and written.state == PAUSED

        await eventually(paused)
        async with second.gateway.channel() as channel:
            await query(channel, subject)

        async def indexed_again() -> bool:
            return uses(installation.engines.records, subject) == 2

        await eventually(indexed_again)
    changes = consents.changes(consent_id=id_of(consent.name), limit=10)
    assert [change.state for change in changes] == [1, GRANTED, PAUSED]
