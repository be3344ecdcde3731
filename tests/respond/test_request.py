"""Malformed requests: every fault by its field, none with the value."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.federated_query import region_request_id
from creditgate.refusal import Refused, Violation
from gateway.respond.batch import check_subjects, parts_of
from gateway.respond.request import (
    COMPLETE,
    INCLUSION,
    common_faults,
    record_id_of,
    request_id_faults,
    require_subject,
)
from tests.meter.world import company

_GOOD = [company(number) for number in range(1, 9)]


async def _faulty(subjects: Sequence[str], resume_from: int = 0) -> list[str]:
    with pytest.raises(Refused) as refusal:
        await check_subjects(subjects, (), most=8, resume_from=resume_from, chunk=4)
    assert not any(subject in refusal.value.message for subject in subjects if subject)
    return [violation.field for violation in refusal.value.violations]


async def test_well_formed_batch_passes() -> None:
    for resume_from in (0, 4):
        await check_subjects(_GOOD, (), most=8, resume_from=resume_from, chunk=4)


@pytest.mark.parametrize("resume_from", [-4, 1, 3, 8, 2**31 - 4])
async def test_batch_resumes_at_a_chunk_of_its_own_only(resume_from: int) -> None:
    assert await _faulty(_GOOD, resume_from) == ["resume_from"]


async def test_batch_has_one_subject_to_the_limit() -> None:
    assert await _faulty([]) == ["subjects"]
    assert await _faulty([*_GOOD, company(9)]) == ["subjects"]


async def test_faulty_and_repeated_subjects_are_named_by_index() -> None:
    last = company(1)[-1]
    mistyped = company(1)[:-1] + ("1" if last == "0" else "0")
    assert await _faulty([_GOOD[0], mistyped, "", "信", _GOOD[1], _GOOD[0]]) == [
        "subjects[1]",
        "subjects[2]",
        "subjects[3]",
        "subjects[5]",
    ]


async def test_faults_told_of_a_batch_are_bounded() -> None:
    with pytest.raises(Refused) as refusal:
        await check_subjects(["bad"] * 50_000, (), most=50_000, resume_from=0, chunk=500)
    assert len(refusal.value.violations) == 100


@pytest.mark.parametrize(
    ("request_id", "items", "consent", "faulty"),
    [
        ("x" * 64, ["a"] * 64, "consents/" + "c" * 100, []),
        ("!~", [], "", []),
        ("", [], "", ["request_id"]),
        ("x" * 65, [], "", ["request_id"]),
        ("a b", [], "", ["request_id"]),
        ("信", [], "", ["request_id"]),
        ("a\0", [], "", ["request_id"]),
        ("a\n", [], "", ["request_id"]),
        ("a" * 51 + "2", [], "", ["request_id"]),
        ("a" * 51 + "1", [], "", []),
        ("recognised:x", [], "", ["request_id"]),
        ("Recognised:x", [], "", []),
        ("x", ["a"] * 65, "consents/", ["items", "consent"]),
        ("x", [], "consents/" + "c" * 101, ["consent"]),
        ("x", [], "consent", ["consent"]),
    ],
)
def test_fields_of_every_record_call_are_checked(
    request_id: str, items: list[str], consent: str, faulty: list[str]
) -> None:
    assert [fault.field for fault in common_faults(request_id, items, consent, 0)] == faulty


@given(operator=st.text(), request=st.text(), region=st.text())
def test_a_question_to_a_region_has_an_id_that_no_call_of_an_operator_has(
    operator: str, request: str, region: str
) -> None:
    question = region_request_id(operator, request, region)
    assert [fault.field for fault in request_id_faults(question)] == ["request_id"]
    assert not request_id_faults(question, of_region=True)


@pytest.mark.parametrize(
    ("proof", "one_record", "faulty"),
    [
        (0, True, []),
        (INCLUSION, True, []),
        (INCLUSION, False, []),
        (COMPLETE, False, []),
        (COMPLETE, True, ["proof"]),
        (3, False, ["proof"]),
        (-1, True, ["proof"]),
    ],
)
def test_proof_asked_for_is_one_there_is(proof: int, one_record: bool, faulty: list[str]) -> None:
    found = common_faults("x", (), "", proof, one_record=one_record)
    assert [fault.field for fault in found] == faulty


def test_subject_and_name_are_checked_with_the_rest() -> None:
    fault = Violation("request_id", "mend it")
    require_subject(company(1), ())
    with pytest.raises(Refused) as subject:
        require_subject(company(1)[:-1], [fault])
    assert [each.field for each in subject.value.violations] == ["request_id", "subject"]
    assert record_id_of("records/a.b~c-1", ()) == "a.b~c-1"
    for name in ("", "records/", "records/a/b", "record/a", "records/信", "records/" + "x" * 129):
        with pytest.raises(Refused) as named:
            record_id_of(name, ())
        assert [each.field for each in named.value.violations] == ["name"]


def test_parts_hold_every_frame_in_order_within_the_size() -> None:
    frames = [bytes([number]) * size for number, size in enumerate((4, 4, 4, 9, 1, 10, 2))]
    assert [list(map(len, part)) for part in parts_of(frames, 10)] == [
        [4, 4],
        [4],
        [9, 1],
        [10],
        [2],
    ]
    assert b"".join(frame for part in parts_of(frames, 10) for frame in part) == b"".join(frames)
    assert parts_of([], 10) == [[]]
    assert parts_of(frames, 100) == [frames]


def test_last_part_leaves_room_for_the_proof_behind_it() -> None:
    frames = [bytes(4), bytes(4), bytes(4)]
    assert [list(map(len, part)) for part in parts_of(frames, 10, 6)] == [[4, 4], [4]]
    assert [list(map(len, part)) for part in parts_of(frames, 10, 7)] == [[4, 4], [4], []]
    assert [list(map(len, part)) for part in parts_of(frames, 22, 10)] == [[4, 4, 4]]
    assert parts_of([], 10, 10) == [[]]
