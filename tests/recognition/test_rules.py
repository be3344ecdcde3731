"""Of a document every item is told of, and recognised only as far as the table goes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.refusal import Refused
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.recognition.rules import (
    Document,
    expiry,
    parts_of,
    require_recognised,
    transfer_of,
)
from operators.recognition import (
    CrossBorderProfile,
    CrossBorderTransfer,
    MappedGrades,
    RecognitionRule,
    Recognitions,
)

REGION = "https://abroad.invalid"
SUBJECT = "91000000DEM000011A"
PURPOSE = 3
RULE = RecognitionRule(
    version=4,
    region=REGION,
    items={
        "fine": MappedGrades(item="penalty"),
        "grade": MappedGrades(item="rating", grade_field="level", grades={"A": "AA", "B": "A"}),
    },
    purposes=frozenset({PURPOSE}),
    longest_seconds=86_400,
)


def record(item: str, level: object, until: int = 0) -> DisclosedRecord:
    """Return a record of the region."""
    made = DisclosedRecord(
        name=f"records/{item}",
        item=item,
        subject=SUBJECT,
        content=json.dumps({"level": level}).encode(),
    )
    made.disclosed_from.seconds = 1
    if until:
        made.disclosed_until.seconds = until
    return made


def document(*records: DisclosedRecord, items: tuple[str, ...] = ()) -> Document:
    """Return a document issued at 1,000 that is good before 1,000,000."""
    named = items or tuple(sorted({each.item for each in records}))
    return Document("ab" * 32, SUBJECT, named, records, 1_000, 1_000_000)


def outcomes(made: Document, *licensed: str) -> list[tuple[str, str, str, str]]:
    """Return what becomes of a document's items."""
    parts = parts_of(made, RULE, lambda item: item in (licensed or ("penalty", "rating")))
    return [(part.region_item, part.outcome, part.item, part.grade) for part in parts]


def test_items_stand_for_what_the_table_says_and_grades_for_theirs() -> None:
    made = document(record("fine", 1), record("grade", "A"))
    assert outcomes(made) == [
        ("fine", "RECOGNISED", "penalty", ""),
        ("grade", "RECOGNISED", "rating", "AA"),
    ]


@pytest.mark.parametrize("level", ["C", "a", "", 7, None, ["A"], {"A": "A"}])
def test_a_grade_that_is_not_in_the_table_stands_for_nothing(level: object) -> None:
    made = document(record("grade", level))
    assert outcomes(made) == [("grade", "GRADE_NOT_MAPPED", "", "")]


def test_that_there_are_no_records_is_recognised_too() -> None:
    made = document(items=("fine", "grade"))
    assert [each[1] for each in outcomes(made)] == ["RECOGNISED", "RECOGNISED"]


@given(st.lists(st.sampled_from(["fine", "grade", "secret", "tax"]), min_size=1, unique=True))
def test_no_item_of_a_document_is_left_out(items: list[str]) -> None:
    made = document(*(record(item, "A") for item in items), items=tuple(items))
    assert [each[0] for each in outcomes(made)] == items
    unmapped = {each[0] for each in outcomes(made) if each[1] == "ITEM_NOT_MAPPED"}
    assert unmapped == set(items) - {"fine", "grade"}


def test_what_the_licence_does_not_cover_is_not_recognised() -> None:
    made = document(record("fine", 1), record("grade", "A"))
    assert [each[1] for each in outcomes(made, "penalty")] == ["RECOGNISED", "NOT_LICENSED"]
    with pytest.raises(Refused) as refused:
        require_recognised(parts_of(made, RULE, lambda item: not item))
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED


def test_where_nothing_is_recognised_the_document_is_refused() -> None:
    made = document(record("secret", "A"), record("grade", "Z"))
    with pytest.raises(Refused) as refused:
        require_recognised(parts_of(made, RULE, bool))
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_ITEM_NOT_MAPPED


@given(st.integers(1_001, 2_000_000), st.integers(1_001, 2_000_000))
def test_a_recognition_ends_with_whatever_ends_first(valid_until: int, disclosed: int) -> None:
    made = document(record("fine", 1, disclosed))._replace(valid_until=valid_until)
    assert expiry(made, RULE) == min(valid_until, disclosed, 1_000 + RULE.longest_seconds)


def recognitions(**changed: object) -> Recognitions:
    """Return a profile for HK, and a transfer of the document."""
    profile = CrossBorderProfile(
        destination="HK", items=frozenset({"penalty"}), purposes=frozenset({PURPOSE})
    )
    transfer = CrossBorderTransfer.model_validate(
        {
            "transfer_id": "xb-1",
            "operator_id": "alpha",
            "document_digest": "ab" * 32,
            "destination": "HK",
            "purpose": PURPOSE,
            "recipient": "Invented Bank",
            "expires_at": 5_000,
            **changed,
        }
    )
    return Recognitions({}, {"HK": profile}, {"xb-1": transfer})


def crossing(
    kept: Recognitions,
    *items: str,
    operator: str = "alpha",
    purpose: int = PURPOSE,
    now: int = 2_000,
) -> CrossBorderTransfer:
    """Take a document across the border."""
    made = document(*(record(item, "A") for item in items or ("fine",)))
    parts = parts_of(made, RULE, bool)
    return transfer_of(kept, "xb-1", operator, made, parts, purpose, now)


def test_an_approved_document_of_listed_items_goes_to_the_country() -> None:
    assert crossing(recognitions()).recipient == "Invented Bank"


@pytest.mark.parametrize(
    ("changed", "asked", "reason"),
    [
        ({"document_digest": "cd" * 32}, {}, "RESOURCE_NOT_FOUND"),
        ({}, {"operator": "beta"}, "RESOURCE_NOT_FOUND"),
        ({}, {"now": 5_000}, "STATE_CONFLICT"),
        ({"destination": "SG"}, {}, "STATE_CONFLICT"),
        ({}, {"purpose": 2}, "PURPOSE_NOT_ALLOWED"),
        ({"purpose": 2}, {"purpose": 2}, "PURPOSE_NOT_ALLOWED"),
    ],
)
def test_what_was_not_approved_does_not_go(
    changed: dict[str, object], asked: dict[str, object], reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        crossing(recognitions(**changed), **asked)  # type: ignore[arg-type]
    assert RefusalReason.Name(refused.value.reason).endswith(reason)


@pytest.mark.parametrize("beside", ["grade", "secret"])
def test_a_document_with_any_item_that_is_not_listed_does_not_go(beside: str) -> None:
    with pytest.raises(Refused) as refused:
        crossing(recognitions(), "fine", beside)
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED
    assert refused.value.metadata == {"items": beside}
