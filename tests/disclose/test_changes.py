"""Corrections, repairs and withdrawals act at once, once, and on the revision meant (G9)."""

from typing import Any

import pytest
from sqlalchemy import select

from creditgate.refusal import Refused
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.catalogue import admission
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.disclose.frame import unframe
from gateway.disclose.tables import EVENTS
from operators.log import Draft
from tests.catalogue.drafts import DAY, NOW, credit_code, national, penalty, registration
from tests.disclose.world import PUBLISHER, World, batch, reason_of
from tests.examples import always_on_postgresql, rarely_on_postgresql

pytestmark = rarely_on_postgresql

SUBJECT = credit_code(1)


async def live(world: World) -> list[DisclosedRecord]:
    """Return the subject's records as served now."""
    return [unframe(stored) for stored in world.served(await world.lookup.of_subject(SUBJECT))]


def events(world: World) -> list[Any]:
    """Return kind, revision, note and publisher of every event."""
    with world.engines.records.connect() as connection:
        return [
            tuple(row)
            for row in connection.execute(
                select(
                    EVENTS.c.kind, EVENTS.c.revision, EVENTS.c.note, EVENTS.c.published_by
                ).order_by(EVENTS.c.sequence)
            )
        ]


KINDS = DisclosureEventKind
PUBLISHED = (KINDS.DISCLOSURE_EVENT_KIND_PUBLISHED, 1, "", "official-site")


@always_on_postgresql
async def test_correction_replaces_the_record_at_once(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1", fine_fen=1)))
    draft = penalty("p-1", fine_fen=2, severity=Severity.SEVERITY_SERIOUS, days=400)
    corrected = (await world.correct(draft, 1)).record
    assert (corrected.revision, corrected.event_sequence) == (2, 2)
    assert (corrected.content, corrected.severity) == (draft.content, draft.severity)
    assert corrected.disclosed_until == draft.disclosed_until
    assert await live(world) == [corrected]
    kind = KINDS.DISCLOSURE_EVENT_KIND_CORRECTED
    assert events(world) == [PUBLISHED, (kind, 2, "typing error", "official-site")]


@always_on_postgresql
async def test_correction_keeps_what_it_leaves_unset(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1", fine_fen=1)))
    draft = penalty("p-1", fine_fen=2, severity=Severity.SEVERITY_UNSPECIFIED)
    draft.ClearField("disclosed_from")
    draft.ClearField("disclosed_until")
    corrected = (await world.correct(draft, 1)).record
    assert corrected.severity == Severity.SEVERITY_GENERAL
    assert corrected.disclosed_from.seconds == NOW
    assert corrected.disclosed_until.seconds == NOW + 200 * DAY
    without_end = registration("r-1")
    await world.publish(batch("b-2", without_end))
    without_end = registration("r-1", name="虚构贸易股份公司")
    without_end.ClearField("disclosed_from")
    assert not (await world.correct(without_end, 1)).record.HasField("disclosed_until")


async def test_repeated_correction_answers_as_the_first(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1")))
    draft = penalty("p-1", fine_fen=2)
    first = await world.correct(draft, 1)
    assert await world.correct(draft, 1) == first
    assert world.store.head() == 2


@pytest.mark.parametrize("revision", [1, 3])
async def test_correction_of_another_revision_is_refused(world: World, revision: int) -> None:
    await world.publish(batch("b-1", penalty("p-1")))
    await world.correct(penalty("p-1", fine_fen=2), 1)
    for change in (
        world.correct(penalty("p-1", fine_fen=3), revision),
        world.repair("p-1", revision),
        world.withdraw("p-1", revision),
    ):
        with pytest.raises(Refused) as refusal:
            await change
        assert reason_of(refusal) == "ETAG_MISMATCH"
        assert refusal.value.metadata == {"current_revision": "2"}
    assert world.store.head() == 2


async def test_correction_is_admitted_by_the_rules_of_publishing(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1")))
    for draft, field, reason in (
        (penalty("p-1", facts="13800138000"), "content.facts", "PERSONAL_DATA"),
        (penalty("p-1", days=400), "disclosed_until", "PERIOD_TOO_LONG"),
        (penalty("p-1", severity=Severity.SEVERITY_MINOR), "disclosed_until", "PERIOD_TOO_LONG"),
    ):
        with pytest.raises(Refused) as refusal:
            await world.correct(draft, 1)
        assert reason_of(refusal) == "INVALID_REQUEST"
        assert [violation.field for violation in refusal.value.violations] == [field]
        assert refusal.value.metadata == {"rejection": reason}
    assert world.store.head() == 1


async def test_correction_does_not_disclose_again_what_has_expired(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1", days=200)))
    shorter = penalty("p-1", days=100)
    corrected = await world.correct(shorter, 1)
    world.clock.at += 100 * DAY
    # Told again, the correction that ended it is answered as before.
    assert await world.correct(shorter, 1) == corrected
    with pytest.raises(Refused) as refusal:
        await world.correct(penalty("p-1", days=200), 2)
    assert reason_of(refusal) == "STATE_CONFLICT"
    assert world.store.head() == 2


async def test_corrections_prolong_nothing_beyond_the_maximum_from_the_first_start(
    world: World,
) -> None:
    await world.publish(batch("b-1", penalty("p-1", days=365)))
    later = penalty("p-1", days=365)
    later.disclosed_from.seconds += DAY
    await world.correct(later, 1)
    later.disclosed_until.seconds += DAY
    with pytest.raises(Refused) as refusal:
        await world.correct(later, 2)
    assert reason_of(refusal) == "INVALID_REQUEST"
    assert refusal.value.metadata == {"rejection": "PERIOD_TOO_LONG"}
    assert world.store.head() == 2


def _anywhere(region: str) -> bool:
    return bool(region)


async def test_a_rule_on_regions_made_since_keeps_no_record_from_correction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = penalty("p-1")
    draft.region = "990000"
    with monkeypatch.context() as earlier:
        earlier.setattr(admission, "names_province", _anywhere)
        assert (await world.publish(batch("b-1", draft))).published_records == 1
    elsewhere, new = penalty("p-1"), penalty("p-2")
    elsewhere.region, new.region = "980000", "990000"
    again = await world.publish(batch("b-2", draft, new, elsewhere))
    assert (again.unchanged_records, again.rejected_records) == (1, 2)
    assert {each.reason for each in again.rejections} == {"REGION_INVALID"}
    corrected = (await world.correct(penalty("p-1", fine_fen=2), 1)).record
    assert (corrected.revision, corrected.region) == (2, "990000")


async def test_correction_of_what_the_catalogue_no_longer_allows_is_refused(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1")))
    item = national()["penalty.administrative"].model_copy(update={"sources": ("他局",)})
    world.append([Draft(CATALOGUE_ITEM, item.code, 1, item.as_document())])
    await world.feed.refresh()
    with pytest.raises(Refused) as refusal:
        await world.correct(penalty("p-1", fine_fen=2), 1)
    assert reason_of(refusal) == "STATE_CONFLICT"
    assert refusal.value.metadata == {"rejection": "SOURCE_NOT_LISTED"}


@always_on_postgresql
async def test_repaired_record_is_never_served_again(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1"), registration("r-1")))
    world.clock.at += 5
    answer = await world.repair("p-1", 1)
    assert (answer.event_sequence, answer.repair_time.seconds) == (3, NOW + 5)
    assert [record.name for record in await live(world)] == ["records/r-1"]
    assert not (await world.lookup.of_record("p-1")).revisions
    kind = KINDS.DISCLOSURE_EVENT_KIND_REPAIRED
    assert events(world)[-1] == (kind, 1, "虚构修决〔2026〕1号", "official-site")


async def test_withdrawn_record_is_never_served_again(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1"), registration("r-1")))
    answer = await world.withdraw("p-1", 1)
    assert (answer.event_sequence, answer.withdraw_time.seconds) == (3, NOW)
    assert [record.name for record in await live(world)] == ["records/r-1"]
    kind = KINDS.DISCLOSURE_EVENT_KIND_WITHDRAWN
    assert events(world)[-1] == (kind, 1, "revoked", "official-site")


@always_on_postgresql
async def test_repeated_end_answers_as_the_first(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1"), penalty("p-2")))
    repaired = await world.repair("p-1", 1)
    withdrawn = await world.withdraw("p-2", 1)
    world.clock.at += 60
    assert await world.repair("p-1", 1) == repaired
    assert await world.withdraw("p-2", 1) == withdrawn
    assert world.store.head() == 4


async def test_ended_record_takes_no_other_change(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1")))
    await world.repair("p-1", 1)
    for change in (
        world.repair("p-1", 1, "another decision"),
        world.withdraw("p-1", 1, "虚构修决〔2026〕1号"),
        world.correct(penalty("p-1"), 1),
        world.correct(penalty("p-1", fine_fen=1), 1),
    ):
        with pytest.raises(Refused) as refusal:
            await change
        assert reason_of(refusal) == "STATE_CONFLICT"
    assert world.store.head() == 2


async def test_change_of_an_unknown_record_is_refused(world: World) -> None:
    for change in (
        world.repair("p-1", 1),
        world.withdraw("p-1", 1),
        world.correct(penalty("p-1"), 1),
    ):
        with pytest.raises(Refused) as refusal:
            await change
        assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_malformed_changes_are_refused_by_field(world: World) -> None:
    service = world.service
    for change, fields in (
        (
            service.correct_record(pb.CorrectRecordRequest(), PUBLISHER),
            ["name", "expected_revision", "reason"],
        ),
        (
            service.repair_record(pb.RepairRecordRequest(name="p-1"), PUBLISHER),
            ["name", "expected_revision", "decision_reference"],
        ),
        (
            service.withdraw_record(pb.WithdrawRecordRequest(name="records/a b"), PUBLISHER),
            ["name", "expected_revision", "reason"],
        ),
        (world.withdraw("p-1", 1, "x" * 501), ["reason"]),
        (world.withdraw("p-1", 1, "a\0b"), ["reason"]),
        (world.withdraw("p-1", 1, "a\u202eb"), ["reason"]),
        (world.withdraw("p-1", 1, "某人 13800138000 来电"), ["reason"]),
        (world.repair("p-1", 1, "x" * 201), ["decision_reference"]),
        (world.correct(penalty("p-1"), 1, reason="\n"), ["reason"]),
        (world.repair("records/p-1", 1), ["name"]),
    ):
        with pytest.raises(Refused) as refusal:
            await change
        assert [violation.field for violation in refusal.value.violations] == fields
