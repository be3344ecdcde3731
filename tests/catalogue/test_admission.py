"""Nothing enters without an item that allows it, and each refusal says why (G8)."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.vocabulary_pb2 import Severity, SubjectType
from gateway.catalogue.admission import AdmissionRules, Admitted
from gateway.catalogue.rejection import Rejection, RejectionReason
from gateway.catalogue.subject import subject_type
from tests.catalogue.drafts import DAY, NOW, canonical, credit_code, penalty, registration

GRADES = Severity
FAR = 253_402_300_799


def changed(draft: RecordDraft, **fields: Any) -> RecordDraft:
    """Return ``draft`` with fields set; a time in seconds, None to unset it."""
    for name, value in fields.items():
        if name.startswith("disclosed_"):
            draft.ClearField(name)  # pyright: ignore[reportArgumentType]
            if value is not None:
                getattr(draft, name).seconds = value
        else:
            setattr(draft, name, value)
    return draft


def with_nanos(draft: RecordDraft, name: str) -> RecordDraft:
    """Return ``draft`` with a time that is no whole second."""
    getattr(draft, name).nanos = 1
    return draft


Faulty = Callable[[], RecordDraft]
CASES: list[tuple[str, str, Faulty]] = [
    ("RECORD_ID_INVALID", "record_id", lambda: registration("")),
    ("RECORD_ID_INVALID", "record_id", lambda: registration("a" * 129)),
    ("RECORD_ID_INVALID", "record_id", lambda: registration("a b")),
    ("USCC_LENGTH", "subject", lambda: registration(subject="9100")),
    ("USCC_ALPHABET", "subject", lambda: registration(subject="91000000000000000I")),
    ("USCC_CHECK_CHARACTER", "subject", lambda: registration(subject=credit_code(1)[:17] + "Y")),
    ("ITEM_UNKNOWN", "item", lambda: changed(registration(), item="registration")),
    ("SOURCE_NOT_LISTED", "source", lambda: changed(registration(), source="某局")),
    ("REGION_INVALID", "region", lambda: changed(registration(), region="1100")),
    ("REGION_INVALID", "region", lambda: changed(registration(), region="１１００００")),
    ("REGION_INVALID", "region", lambda: changed(registration(), region="990000")),
    ("REGION_INVALID", "region", lambda: changed(registration(), region="100100")),
    ("SUBJECT_TYPE_NOT_ALLOWED", "subject", lambda: registration(subject=credit_code(1, "51"))),
    ("SUBJECT_TYPE_NOT_ALLOWED", "subject", lambda: penalty(subject=credit_code(1, "11"))),
    ("SEVERITY_REQUIRED", "severity", lambda: changed(penalty(), severity=0)),
    ("SEVERITY_NOT_ALLOWED", "severity", lambda: changed(penalty(), severity=9)),
    ("SEVERITY_NOT_ALLOWED", "severity", lambda: changed(registration(), severity=1)),
    (
        "CONTENT_TOO_LARGE",
        "content",
        lambda: changed(registration(), content=b'{"name":"' + b"a" * 65_526 + b'"}'),
    ),
    ("CONTENT_NOT_JSON", "content", lambda: changed(registration(), content=b"")),
    ("CONTENT_NOT_JSON", "content", lambda: changed(registration(), content=b'{"name":"\xff"}')),
    ("CONTENT_NOT_JSON", "content", lambda: changed(registration(), content=b'{"name":NaN}')),
    ("CONTENT_NOT_JSON", "content", lambda: changed(registration(), content=b"[]")),
    ("CONTENT_NOT_JSON", "content", lambda: changed(registration(), content=b"[" * 60_000)),
    ("CONTENT_NOT_JSON", "content", lambda: changed(registration(), content=b'{"name":"a"}{}')),
    ("CONTENT_NOT_CANONICAL", "content", lambda: changed(registration(), content=b'{"name": "a"}')),
    (
        "CONTENT_NOT_CANONICAL",
        "content",
        lambda: changed(registration(), content=b'{"name":"a","name":"a"}'),
    ),
    (
        "CONTENT_NOT_CANONICAL",
        "content",
        lambda: changed(registration(), content=b'{"name":"\\ud800"}'),
    ),
    ("FIELD_UNKNOWN", "content.legal_person", lambda: registration(legal_person="某人")),
    ("FIELD_UNKNOWN", "content", lambda: registration(某人=1)),
    ("FIELD_MISSING", "content.name", lambda: registration(name=None)),
    ("FIELD_TYPE", "content.name", lambda: registration(name=7)),
    ("FIELD_TYPE", "content.fine_fen", lambda: penalty(fine_fen="7")),
    ("FIELD_TYPE", "content.fine_fen", lambda: penalty(fine_fen=True)),
    ("FIELD_TYPE", "content.fine_fen", lambda: penalty(fine_fen=0.5)),
    ("FIELD_TYPE", "content.fine_fen", lambda: penalty(fine_fen=[1])),
    ("FIELD_TOO_LONG", "content.name", lambda: registration(name="名" * 201)),
    (
        "FIELD_OUT_OF_RANGE",
        "content.fine_fen",
        lambda: changed(
            penalty(), content=penalty(fine_fen=1).content.replace(b":1,", b":9007199254740992,")
        ),
    ),
    ("FIELD_NOT_A_DATE", "content.registered_on", lambda: registration(registered_on="1999-02-29")),
    ("FIELD_NOT_A_DATE", "content.registered_on", lambda: registration(registered_on="19990228")),
    ("FIELD_NOT_A_DATE", "content.registered_on", lambda: registration(registered_on="1999-W01-1")),
    ("FIELD_NOT_A_DATE", "content.registered_on", lambda: registration(registered_on="")),
    ("HIDDEN_CHARACTER", "content.name", lambda: registration(name="虚构\u202e贸易")),
    ("PERSONAL_DATA", "content.business_scope", lambda: registration(business_scope="13800138000")),
    (
        "DISCLOSED_FROM_REQUIRED",
        "disclosed_from",
        lambda: changed(registration(), disclosed_from=None),
    ),
    (
        "DISCLOSED_FROM_INVALID",
        "disclosed_from",
        lambda: with_nanos(registration(), "disclosed_from"),
    ),
    ("DISCLOSED_FROM_INVALID", "disclosed_from", lambda: changed(penalty(), disclosed_from=-1)),
    (
        "DISCLOSED_FROM_TOO_LATE",
        "disclosed_from",
        lambda: changed(registration(), disclosed_from=NOW + 3_653 * DAY + 1),
    ),
    (
        "DISCLOSED_UNTIL_REQUIRED",
        "disclosed_until",
        lambda: changed(penalty(), disclosed_until=None),
    ),
    (
        "DISCLOSED_UNTIL_INVALID",
        "disclosed_until",
        lambda: with_nanos(penalty(), "disclosed_until"),
    ),
    (
        "DISCLOSED_UNTIL_INVALID",
        "disclosed_until",
        lambda: changed(registration(), disclosed_until=FAR),
    ),
    ("PERIOD_EMPTY", "disclosed_until", lambda: penalty(days=0)),
    ("PERIOD_TOO_SHORT", "disclosed_until", lambda: penalty(days=80)),
    ("PERIOD_TOO_LONG", "disclosed_until", lambda: penalty(days=370)),
    (
        "PERIOD_TOO_LONG",
        "disclosed_until",
        lambda: penalty(severity=GRADES.SEVERITY_MINOR, days=93),
    ),
]


@pytest.mark.parametrize(("reason", "field", "draft"), CASES)
def test_faulty_draft_is_rejected_with_its_reason_and_field(
    rules: AdmissionRules, reason: str, field: str, draft: Faulty
) -> None:
    assert rules.admit(draft(), NOW) == Rejection(RejectionReason[reason], field)


def test_every_reason_of_admission_is_shown_above() -> None:
    of_the_store = {"RECORD_DIFFERS", "RECORD_ENDED"}
    assert {reason for reason, _, _ in CASES} == {r.name for r in RejectionReason} - of_the_store


@pytest.mark.parametrize(
    "draft",
    [
        registration(),
        registration("~a.B_c-9" * 16),
        registration(name='引号"反斜线\\换行\n😀'),
        registration(name="名" * 200),
        registration(registered_capital="15012345678"),
        penalty(),
        penalty(severity=GRADES.SEVERITY_MINOR, days=1),
        penalty(severity=GRADES.SEVERITY_MINOR, days=91),
        penalty(severity=GRADES.SEVERITY_GENERAL, days=92),
        penalty(severity=GRADES.SEVERITY_GENERAL, days=365),
        penalty(severity=GRADES.SEVERITY_SERIOUS, days=365),
        penalty(severity=GRADES.SEVERITY_SERIOUS, days=1_096),
        penalty(fine_fen=2**53 - 1, confiscated_fen=-(2**53 - 1)),
        penalty(subject=credit_code(1, "92")),
        # ICBC: its code has the state's own 100000 for the division.
        changed(registration(subject="91100000100003962T"), region="100000"),
        changed(registration(), disclosed_from=NOW + 3_653 * DAY),
        changed(registration(), disclosed_from=0, disclosed_until=1),
    ],
)
def test_good_draft_enters_as_it_is(rules: AdmissionRules, draft: RecordDraft) -> None:
    admitted = rules.admit(draft, NOW)
    assert isinstance(admitted, Admitted)
    assert admitted.content == draft.content
    assert admitted.digest == sha256(draft.content).digest()
    assert (admitted.record_id, admitted.subject) == (draft.record_id, draft.subject)
    assert admitted.disclosed_from == draft.disclosed_from.seconds
    until = draft.disclosed_until.seconds if draft.HasField("disclosed_until") else None
    assert admitted.disclosed_until == until


def test_content_of_the_greatest_size_enters(rules: AdmissionRules) -> None:
    draft = penalty()
    draft.content = canonical({"name": "a" * 65_525})
    assert len(draft.content) == 65_536
    assert rules.admit(draft, NOW) != Rejection(RejectionReason.CONTENT_TOO_LARGE, "content")


def test_mends_never_repeat_what_was_sent() -> None:
    assert all("{" not in reason.value for reason in RejectionReason)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("11", "GOVERNMENT_BODY"),
        ("12", "PUBLIC_INSTITUTION"),
        ("13", "OTHER_ORGANISATION"),
        ("51", "SOCIAL_ORGANISATION"),
        ("52", "SOCIAL_ORGANISATION"),
        ("53", "SOCIAL_ORGANISATION"),
        ("91", "ENTERPRISE"),
        ("92", "OTHER_ORGANISATION"),
        ("93", "OTHER_ORGANISATION"),
        ("N2", "OTHER_ORGANISATION"),
        ("Y1", "OTHER_ORGANISATION"),
    ],
)
def test_kind_of_subject_follows_from_its_code(head: str, kind: str) -> None:
    assert subject_type(credit_code(7, head)) == SubjectType.Value(f"SUBJECT_TYPE_{kind}")
