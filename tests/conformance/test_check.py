"""The check of what is kept of operators: nothing to say of what the gateway wrote, and
something of what anybody else wrote, wherever it follows from other records."""

import random
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from random import Random

import pytest
from sqlalchemy import Engine, Table, delete, insert, update

from consent.model import ConsentItem
from creditgate.transparency.facts import copy_digest
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.check import check_conformance
from gateway.conformance.finding_tables import CHALLENGES, EVIDENCE, FINDINGS
from gateway.conformance.following import HoldingsSteps
from gateway.conformance.holdings import Holdings
from gateway.conformance.holdings_tables import (
    CONSENTED_COPIES,
    ENDED_BLOCKS,
    POSITIONS,
    REVISION_BLOCKS,
    SERVED_BLOCKS,
)
from gateway.conformance.removal_tables import DUTIES, FOLLOWED
from gateway.conformance.removals import RemovalDuties, Removed
from gateway.conformance.revisions import revisions_of
from gateway.storage.engines import Engines, reading
from gateway.transparency.faults import Fault
from tests.clock import NOW, StandingClock
from tests.conformance.disclosing import ByDays, Disclosing
from tests.consent.store import ConsentStore
from tests.consent.world import EVALUATION, terms
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import admitted, company
from tests.stores import engines_of
from tests.transparency.tampering import mutate, removed, rows_of, tampered

pytestmark = rarely_on_postgresql

MADE_ANEW = (
    REVISION_BLOCKS,
    ENDED_BLOCKS,
    SERVED_BLOCKS,
    CONSENTED_COPIES,
    POSITIONS,
    DUTIES,
    FOLLOWED,
    EVIDENCE,
)
# By when a removal was due, and what became of it, the log of decisions tells alone.
MEANINGLESS = {
    DUTIES.c.deadline,
    DUTIES.c.removed_at,
    DUTIES.c.acknowledged_at,
    DUTIES.c.acknowledged_by,
    DUTIES.c.finding,
}
FINDING = FINDINGS.c.finding_id


def faults(engines: Engines) -> Sequence[Fault]:
    """Check the stores."""
    return check_conformance(engines).faults


def history(engines: Engines) -> Disclosing:
    """Serve, correct, repair, follow, acknowledge, find, contest and ask for copies."""
    disclosing = Disclosing(engines)
    steps, duties = HoldingsSteps(engines), RemovalDuties(engines, Holdings(engines), ByDays())
    consents = ConsentStore(engines.records)
    one, two, *others = [disclosing.publish(f"record-{number}") for number in range(6)]
    under = disclosing.publish("protected", item=EVALUATION, content=b'{"grade":"A","score":1}')
    disclosing.serve("alpha", one, two, *others)
    disclosing.serve("beta", two)
    item = ConsentItem(item=EVALUATION, fields=frozenset({"grade"}))
    consent = consents.granted(subject=company(1), terms=terms(items=(item,)))
    consents.use(consent, entries=[under])
    _follow(steps)
    disclosing.correct("record-0")
    repaired = disclosing.end("record-1")
    disclosing.serve("gamma", *others)
    duties.follow()
    duties.acknowledge("beta", [Removed(repaired, NOW)], "beta-one", NOW)
    _follow(steps)
    _find(engines, others[0])
    # What nobody has followed yet is no fault.
    disclosing.serve("delta", others[1])
    disclosing.end("record-2")
    return disclosing


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest) -> Iterator[Engines]:
    """The stores of such a history on each kind, for all tests that put back what they change."""
    name = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    with request.getfixturevalue(name).database() as store, engines_of(*store) as engines:
        history(engines)
        yield engines


def _follow(steps: HoldingsSteps) -> None:
    while steps.step():
        pass


def _find(engines: Engines, sequence: int) -> None:
    """Keep a finding that was contested with evidence, and a challenge for a copy."""
    evidence = b"invented evidence"
    with reading(engines.records) as connection:
        (revision,) = revisions_of(connection, [sequence])
    of_copy = {"operator_id": "alpha", "record_id": revision.copy.record_id}
    _keep(
        engines,
        FINDINGS,
        of_copy,
        finding_id="f-1",
        evidence_digest=sha256(evidence).digest(),
        contested_at=NOW,
    )
    _keep(
        engines,
        EVIDENCE,
        finding_id="f-1",
        operator_id="alpha",
        at=NOW,
        bytes=len(evidence),
        evidence=evidence,
    )
    _keep(
        engines,
        CHALLENGES,
        of_copy,
        challenge_id="c-1",
        revision_sequence=sequence,
        copy_digest=copy_digest(revision.copy),
    )


def _keep(
    engines: Engines, table: Table, of_copy: Mapping[str, str] | None = None, **values: object
) -> None:
    """Insert a row whose other columns say nothing."""
    nothing = {column.name: column.type.python_type() for column in table.columns}
    with engines.evidence.begin() as connection:
        connection.execute(insert(table).values(nothing | dict(of_copy or {}) | values))


@always_on_postgresql
def test_a_removal_that_a_former_release_held_to_be_owed_of_what_was_over_is_no_fault(
    engines: Engines,
) -> None:
    disclosing, clock = Disclosing(engines), StandingClock()
    disclosing.clock = clock
    steps, duties = HoldingsSteps(engines), RemovalDuties(engines, Holdings(engines), ByDays())
    sequence = disclosing.publish("over", disclosed_until=NOW + 60)
    disclosing.serve("alpha", sequence)
    clock.at = NOW + 60
    event = disclosing.end("over")
    _follow(steps)
    duties.follow()
    assert not rows_of(engines.evidence, DUTIES)
    assert not faults(engines)
    duty = {
        "operator_id": "alpha",
        "event_sequence": event,
        "revision_sequence": sequence,
        "record_id": "over",
        "severity": Severity.SEVERITY_GENERAL,
        "owed_since": clock.at,
        "deadline": clock.at + 60,
        "acknowledged_by": "",
        "finding": 0,
    }
    with engines.evidence.begin() as connection:
        connection.execute(insert(DUTIES).values(duty))
    assert not faults(engines)
    with engines.evidence.begin() as connection:
        connection.execute(update(DUTIES).values(owed_since=clock.at - 1))
    assert faults(engines)


@always_on_postgresql
def test_what_the_gateway_keeps_of_operators_is_found_as_it_wrote_it(kept: Engines) -> None:
    checked = check_conformance(kept)
    assert checked.faults == []
    # A block of revisions, one of ended ones, and one of each operator's that was followed.
    assert checked.blocks == 5
    assert checked.duties == 3


def test_the_removal_of_a_copy_served_of_a_former_revision_like_the_void_one_is_looked_for(
    engines: Engines,
) -> None:
    disclosing = Disclosing(engines)
    steps, duties = HoldingsSteps(engines), RemovalDuties(engines, Holdings(engines), ByDays())
    disclosing.serve("alpha", disclosing.publish("one"))
    graded = admitted("one", severity=Severity.SEVERITY_SERIOUS)
    disclosing.disclosure.correct(graded, 1)
    disclosing.end("one", 2)
    duties.follow()
    _follow(steps)
    checked = check_conformance(engines)
    assert (checked.faults, checked.duties) == ([], 1)
    with engines.evidence.begin() as connection:
        connection.execute(delete(DUTIES))
    assert faults(engines)


def test_an_empty_store_of_operators_has_nothing_wrong(engines: Engines) -> None:
    assert check_conformance(engines) == (0, 0, [])


@pytest.mark.parametrize("table", MADE_ANEW, ids=lambda table: table.name)
def test_a_table_emptied_is_noticed(kept: Engines, table: Table) -> None:
    rows = [dict(row) for row in rows_of(kept.evidence, table)]
    with kept.evidence.begin() as connection:
        connection.execute(delete(table))
    found = faults(kept)
    with kept.evidence.begin() as connection:
        connection.execute(insert(table), rows)
    assert found
    assert {fault.place.split(",")[0] for fault in found} >= (
        {table.name} if table not in (POSITIONS, FOLLOWED) else set()
    )


@always_on_postgresql
def test_values_zeroed_or_bits_cleared_are_noticed(kept: Engines) -> None:
    for column in (
        REVISION_BLOCKS.c.elements,
        REVISION_BLOCKS.c.untils,
        ENDED_BLOCKS.c.ended,
        SERVED_BLOCKS.c.whole,
    ):
        rows = rows_of(kept.evidence, column.table)
        with kept.evidence.begin() as connection:
            connection.execute(
                update(column.table).values({column: bytes(len(rows[0][column.name]))})
            )
        found = faults(kept)
        assert found
        assert all(fault.place.startswith(column.table.name) for fault in found)
        with kept.evidence.begin() as connection:
            connection.execute(delete(column.table))
            connection.execute(insert(column.table), [dict(row) for row in rows])
    assert not faults(kept)


def test_evidence_altered_is_told_by_its_digest(kept: Engines) -> None:
    (row,) = rows_of(kept.evidence, EVIDENCE)
    with tampered(kept.evidence, EVIDENCE, row, EVIDENCE.c.evidence, b"invented evidencf"):
        found = faults(kept)
    assert [fault.place for fault in found] == [f"finding_evidence, finding {row['finding_id']}"]


def test_a_challenge_for_another_copy_is_noticed(kept: Engines) -> None:
    (row,) = rows_of(kept.evidence, CHALLENGES)
    with tampered(kept.evidence, CHALLENGES, row, CHALLENGES.c.copy_digest, sha256(b"").digest()):
        found = faults(kept)
    assert [fault.place.split(",")[0] for fault in found] == ["challenges"]


def test_every_changed_value_and_every_row_taken_away_is_found(kept: Engines) -> None:
    stores: dict[Table, Engine] = dict.fromkeys(MADE_ANEW, kept.evidence)

    def find() -> Sequence[Fault]:
        return faults(kept)

    assert mutate(stores, MEANINGLESS, find, Random(20261128), 3) > 40
    for table in MADE_ANEW:
        for row in rows_of(kept.evidence, table):
            with removed(kept.evidence, table, row):
                assert find(), table.name
    assert not find()


@pytest.mark.soak
def test_a_thousand_changed_values_of_what_is_kept_of_operators_are_found(
    kept: Engines,
) -> None:
    stores: dict[Table, Engine] = dict.fromkeys(MADE_ANEW, kept.evidence)
    found = sum(
        mutate(stores, MEANINGLESS, lambda: faults(kept), random.Random(seed), 9)
        for seed in range(20)
    )
    assert found > 1_000
