"""Entries are made of what was written, whatever entries were made before them."""

from typing import Any

import pytest

from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.usage_log_pb2 import UsageKind
from gateway.audit.decision import Entries
from gateway.audit.sources import COLUMNS, made_in
from gateway.audit.tables import DECISIONS, Source
from gateway.meter.model import pack_entries
from tests.clock import NOW

ANSWER: dict[str, Any] = {
    "sequence": 7,
    "served_at": NOW,
    "decision_id": "d-7",
    "client_id": "alpha-one",
    "operator_id": "alpha",
    "licence": "L-1",
    "consent": "consents/c-1",
    "purpose": 1,
    "request_id": "r-7",
    "payload_digest": bytes(32),
    "entry_count": 2,
    "disclosure_sequence": 3,
    "chunk": 1,
    "fee": 20,
    "lines": "[[1,2,10]]",
    "entries": pack_entries([1, 2]),
    "asked_items": "penalty tax",
    "kind": UsageKind.USAGE_KIND_ANSWER,
    "licences": "",
}
SEVERAL = ANSWER | {"decision_id": "d-10", "licences": '[["L-1",[2]],["L-2",[]]]'}
CREDIT = ANSWER | {"decision_id": "d-9", "kind": UsageKind.USAGE_KIND_REVERSAL, "asked_items": ""}
OTHER = ANSWER | {
    "decision_id": "d-8",
    "licence": "",
    "consent": "",
    "purpose": 2,
    "entry_count": 0,
    "chunk": 0,
    "fee": 0,
    "entries": b"",
    "asked_items": "",
}


def answered(*answers: dict[str, Any]) -> list[Any]:
    """Return answers as they are read of the ledger."""
    rows: Any = [
        tuple(answer[column.name] for column in COLUMNS[Source.USAGE]) for answer in answers
    ]
    return made_in(Source.USAGE, rows)


def entries() -> Entries:
    """Return a maker of entries that has made none."""
    return Entries(lambda _: "", lambda _: {}, lambda _: {})


def test_an_entry_has_nothing_of_the_one_before() -> None:
    rows = (ANSWER, OTHER, CREDIT, SEVERAL, ANSWER)
    made = entries().of(answered(*rows), 5)
    alone = [entries().of(answered(each), index)[0] for index, each in enumerate(rows, 5)]
    assert made == alone
    assert pb.DecisionEntry.FromString(made[0].leaf).asked_items == ["penalty", "tax"]
    assert pb.DecisionEntry.FromString(made[1].leaf).consent == ""
    assert not pb.DecisionEntry.FromString(made[1].leaf).asked_items


def test_an_entry_names_all_licences_it_rests_on_where_they_are_several() -> None:
    rows = (SEVERAL, ANSWER, OTHER | {"licences": None}, CREDIT | {"licences": SEVERAL["licences"]})
    said = [pb.DecisionEntry.FromString(each.leaf) for each in entries().of(answered(*rows), 5)]
    assert [(each.licence, list(each.licences)) for each in said] == [
        ("L-1", ["L-1", "L-2"]),
        ("L-1", []),
        ("", []),
        ("L-1", ["L-1", "L-2"]),
    ]


def test_what_is_credited_is_no_answer() -> None:
    answer, credit = (
        pb.DecisionEntry.FromString(made.leaf) for made in entries().of(answered(ANSWER, CREDIT), 5)
    )
    assert (answer.credit, answer.outcome) == (False, pb.DECISION_OUTCOME_ALLOWED)
    assert (credit.credit, credit.outcome) == (True, pb.DECISION_OUTCOME_UNSPECIFIED)
    assert (answer.served_records, credit.served_records) == (2, 0)
    assert answer.usage_digest == credit.usage_digest


@pytest.mark.parametrize("row", [ANSWER, CREDIT])
def test_an_entry_is_found_by_what_it_says(row: dict[str, Any]) -> None:
    (made,) = entries().of(answered(row), 5)
    said = pb.DecisionEntry.FromString(made.leaf)
    found_by = dict(zip(DECISIONS.c.keys(), made.found_by, strict=True))
    assert found_by == {
        "log_index": said.sequence,
        "at": said.decide_time.seconds,
        "decision_id": said.name.removeprefix("decisions/"),
        "client_id": said.client_id,
        "operator_id": said.operator_id,
        "request_id": said.request_id,
        "outcome": said.outcome,
        "reason": said.reason,
        "source": Source.USAGE,
        "source_sequence": 7,
    }
