"""Whatever publishers do, what is served is the disclosure, byte for byte (G1, G2, G9)."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from creditgate.refusal import Refused
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.disclose.lookup import Found
from gateway.disclose.tables import BATCHES, EVENTS, LINES, REVISIONS
from gateway.storage.engines import Engines
from tests.catalogue.drafts import DAY, NOW, credit_code, penalty, registration
from tests.disclose.world import World, batch
from tests.examples import rarely_on_postgresql

SUBJECTS = [credit_code(number) for number in range(3)]
IDS = ["a", "b", "c", "d"]
R = RefusalReason


@dataclass
class Kept:
    """A record in the model: its newest revision, and how it ended."""

    draft: RecordDraft
    revision: int = 1
    end: tuple[str, str] | None = None
    starts: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self.starts.append(self.draft.disclosed_from.seconds)

    def is_over(self, now: int) -> bool:
        """Tell whether its period has ended."""
        until = self.draft.disclosed_until.seconds
        return self.draft.HasField("disclosed_until") and until <= now

    def would_be_prolonged_by(self, wanted: RecordDraft) -> bool:
        """Tell whether its disclosure would last longer than penalties may: a year, of which no
        day is drawn that is a leap day."""
        return wanted.HasField("disclosed_until") and wanted.disclosed_until.seconds > (
            min(*self.starts, wanted.disclosed_from.seconds) + 365 * DAY
        )


@st.composite
def drafts(draw: st.DrawFn) -> RecordDraft:
    """Draw a good draft out of few, so that ids and contents meet again."""
    record_id, subject = draw(st.sampled_from(IDS)), draw(st.sampled_from(SUBJECTS))
    if draw(st.booleans()):
        name = draw(st.sampled_from(["甲", '"\\\n', "😀"]))
        return registration(record_id, subject=subject, name=name)
    draft = penalty(record_id, subject=subject, fine_fen=draw(st.sampled_from([0, 1])))
    start = NOW + draw(st.integers(-1, 1)) * 100 * DAY
    draft.disclosed_from.seconds = start
    draft.disclosed_until.seconds = start + draw(st.sampled_from([100, 300])) * DAY
    return draft


class Disclosure(RuleBasedStateMachine):
    """Publishers at work on a real store, and the same in a plain dict."""

    def __init__(self, engines: Engines) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = World(engines)
        self.model: dict[str, Kept] = {}
        self.head = 0
        self.batches = 0

    @initialize()
    def start(self) -> None:
        """Read the authority log."""
        self.runner.run(self.world.feed.refresh())

    @rule(sent=st.lists(drafts(), max_size=4))
    def publish(self, sent: list[RecordDraft]) -> None:
        """Publish a batch; the model says what becomes of each draft."""
        expected = {"published": 0, "unchanged": 0, "rejected": 0}
        for draft in sent:
            known = self.model.get(draft.record_id)
            if known is None:
                self.model[draft.record_id] = Kept(draft)
                self.head += 1
                expected["published"] += 1
            elif known.end is None and known.draft == draft:
                expected["unchanged"] += 1
            else:
                expected["rejected"] += 1
        self.batches += 1
        answer = self.runner.run(self.world.publish(batch(f"b-{self.batches}", *sent)))
        assert expected == {
            "published": answer.published_records,
            "unchanged": answer.unchanged_records,
            "rejected": answer.rejected_records,
        }
        assert answer.disclosure_sequence == self.head

    @rule(draft=drafts(), revision=st.integers(1, 3))
    def correct(self, draft: RecordDraft, revision: int) -> None:
        """Correct a record, or be refused."""
        known = self.model.get(draft.record_id)
        if known is None:
            self.refused(self.world.correct(draft, revision), R.REFUSAL_REASON_RESOURCE_NOT_FOUND)
            return
        wanted = RecordDraft()
        wanted.CopyFrom(draft)
        wanted.subject, wanted.item = known.draft.subject, known.draft.item
        wanted.source = known.draft.source
        if wanted.item != draft.item:
            self.refused(self.world.correct(draft, revision), None)
        elif known.would_be_prolonged_by(wanted):
            self.refused(self.world.correct(draft, revision), R.REFUSAL_REASON_INVALID_REQUEST)
        elif known.end is not None:
            self.refused(self.world.correct(draft, revision), R.REFUSAL_REASON_STATE_CONFLICT)
        elif known.revision == revision + 1 and known.draft == wanted:
            assert self.runner.run(self.world.correct(draft, revision)).record.revision == (
                known.revision
            )
        elif known.revision != revision:
            self.refused(self.world.correct(draft, revision), R.REFUSAL_REASON_ETAG_MISMATCH)
        elif known.is_over(self.world.clock.now()):
            self.refused(self.world.correct(draft, revision), R.REFUSAL_REASON_STATE_CONFLICT)
        elif known.draft == wanted:
            self.refused(self.world.correct(draft, revision), R.REFUSAL_REASON_INVALID_REQUEST)
        else:
            self.head += 1
            known.draft, known.revision = wanted, revision + 1
            known.starts.append(wanted.disclosed_from.seconds)
            record = self.runner.run(self.world.correct(draft, revision)).record
            assert (record.revision, record.event_sequence) == (known.revision, self.head)

    @rule(
        record_id=st.sampled_from(IDS),
        revision=st.integers(1, 3),
        how=st.sampled_from(["repair", "withdraw"]),
        note=st.sampled_from(["one", "two"]),
    )
    def end(self, record_id: str, revision: int, how: str, note: str) -> None:
        """Repair or withdraw a record, or be refused."""
        known = self.model.get(record_id)
        change = (self.world.repair if how == "repair" else self.world.withdraw)(
            record_id, revision, note
        )
        if known is None:
            self.refused(change, R.REFUSAL_REASON_RESOURCE_NOT_FOUND)
        elif known.end == (how, note):
            self.runner.run(change)
        elif known.end is not None:
            self.refused(change, R.REFUSAL_REASON_STATE_CONFLICT)
        elif known.revision != revision:
            self.refused(change, R.REFUSAL_REASON_ETAG_MISMATCH)
        else:
            self.head += 1
            known.end = (how, note)
            assert self.runner.run(change).event_sequence == self.head

    @rule(days=st.sampled_from([1, 100, 200]))
    def wait(self, days: int) -> None:
        """Let time pass."""
        self.world.clock.at += days * DAY

    def refused(self, change: Any, reason: RefusalReason.ValueType | None) -> None:
        """See a change refused, for the reason where it is one."""
        try:
            self.runner.run(change)
        except Refused as refusal:
            assert reason is None or refusal.reason == reason, refusal
        else:
            raise AssertionError("not refused")

    def disclosed(self, subject: str) -> dict[str, RecordDraft]:
        """Return the model's disclosure of a subject now."""
        now = self.world.clock.now()
        return {
            record_id: kept.draft
            for record_id, kept in self.model.items()
            if kept.draft.subject == subject
            and kept.end is None
            and kept.draft.disclosed_from.seconds <= now
            and (
                not kept.draft.HasField("disclosed_until")
                or now < kept.draft.disclosed_until.seconds
            )
        }

    async def found(self, subject: str) -> Found:
        """Look one subject up."""
        return await self.world.lookup.of_subject(subject)

    @invariant()
    def served_is_the_disclosure(self) -> None:
        """Compare every way of lookup with the model."""
        everything = self.runner.run(self.world.lookup.of_subjects(SUBJECTS))
        frames: list[bytes] = []
        for subject in SUBJECTS:
            found = self.runner.run(self.found(subject))
            assert found.head == self.head
            served = self.world.served(found)
            frames += served
            assert drafts_in(served) == self.disclosed(subject)
        assert sorted(self.world.served(everything)) == sorted(frames)
        for record_id in IDS:
            found = self.runner.run(self.world.lookup.of_record(record_id))
            kept = self.model.get(record_id)
            served = drafts_in(self.world.served(found))
            expected = {} if kept is None else self.disclosed(kept.draft.subject)
            assert served == {key: expected[key] for key in expected if key == record_id}

    def teardown(self) -> None:
        """Empty the store for the next run."""
        self.runner.run(self.world.stop())
        self.runner.close()
        with self.world.engines.records.begin() as connection:
            for table in (BATCHES, EVENTS, LINES, REVISIONS):
                connection.execute(table.delete())


def drafts_in(frames: list[bytes]) -> dict[str, RecordDraft]:
    """Return the records of an answer as the drafts they were, by id."""
    drafts: dict[str, RecordDraft] = {}
    for record in GetSubjectRecordsResponse.FromString(b"".join(frames)).records:
        draft = RecordDraft(
            record_id=record.name.removeprefix("records/"),
            subject=record.subject,
            item=record.item,
            source=record.source,
            region=record.region,
            severity=record.severity,
            content=record.content,
        )
        draft.disclosed_from.CopyFrom(record.disclosed_from)
        if record.HasField("disclosed_until"):
            draft.disclosed_until.CopyFrom(record.disclosed_until)
        drafts[draft.record_id] = draft
    return drafts


@rarely_on_postgresql
@pytest.mark.parametrize(
    "most", [pytest.param(8, id="few"), pytest.param(80, id="many", marks=pytest.mark.soak)]
)
def test_served_is_always_the_disclosure_byte_for_byte(engines: Engines, most: int) -> None:
    async def prepare() -> None:
        world = World(engines)
        await world.start()
        await world.stop()

    class OnThisStore(Disclosure):
        def __init__(self) -> None:
            super().__init__(engines)

    asyncio.run(prepare())
    run_state_machine_as_test(
        OnThisStore,
        settings=settings(max_examples=most, stateful_step_count=15, deadline=None),
    )
