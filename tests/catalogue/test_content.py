"""Content is canonical exactly where the RFC 8785 reference package says so."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from gateway.catalogue.content import ContentRule
from gateway.catalogue.model import ContentField
from gateway.catalogue.rejection import Rejection, RejectionReason
from tests.catalogue.drafts import canonical

TYPES = ContentFieldType
RULE = ContentRule(
    [
        ContentField(name="text", type=TYPES.CONTENT_FIELD_TYPE_STRING, max_length=1_000),
        ContentField(name="a_text", type=TYPES.CONTENT_FIELD_TYPE_STRING, max_length=1_000),
        ContentField(name="number", type=TYPES.CONTENT_FIELD_TYPE_INTEGER),
        ContentField(name="flag", type=TYPES.CONTENT_FIELD_TYPE_BOOLEAN),
        ContentField(name="day", type=TYPES.CONTENT_FIELD_TYPE_DATE),
    ]
)
# No digits and at signs: what personal data is, is shown elsewhere. No marks: what piles up is hidden.
TEXTS = st.text(
    st.characters(
        codec="utf-8",
        exclude_characters="@＠﹫\u115f\u1160\u2800\u3164\uffa0",
        exclude_categories=["Nd", "Cc", "Cf", "Cn", "Zl", "Zp", "Mn", "Mc", "Me"],
    )
    | st.sampled_from("\t\n")
)
HIDDEN = st.characters(codec="utf-8", categories=["Cc", "Cf", "Zl", "Zp"]).filter(
    lambda character: character not in "\t\n"
)
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS,
        "a_text": TEXTS,
        "number": st.integers(-(2**53) + 1, 2**53 - 1),
        "flag": st.booleans(),
        "day": st.dates().map(lambda day: day.isoformat()),
    },
)


def written(content: dict[str, Any], way: int) -> bytes:
    """Return content as careless writers write it."""
    if way == 0:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    if way == 1:
        return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
    if way == 2:
        return json.dumps(content, ensure_ascii=False, sort_keys=True).encode()
    return json.dumps(dict(reversed(content.items())), separators=(",", ":")).encode()


@given(CONTENTS)
def test_canonical_content_enters(content: dict[str, Any]) -> None:
    assert RULE.fault(canonical(content), "") is None


@given(CONTENTS, st.integers(0, 3))
def test_content_written_otherwise_enters_only_if_it_is_the_same_bytes(
    content: dict[str, Any], way: int
) -> None:
    sent = written(content, way)
    not_canonical = Rejection(RejectionReason.CONTENT_NOT_CANONICAL, "content")
    expected = None if sent == canonical(content) else not_canonical
    assert RULE.fault(sent, "") == expected


@given(TEXTS, HIDDEN, TEXTS)
@example("某", "\0", "")
@example("虚构", "\x1b", "贸易")
@example("虚构", "\r", "贸易")
@example("虚构", "\x7f", "贸易")
@example("虚构", "\x85", "贸易")
@example("虚构", "\u200b", "贸易")
@example("虚构", "\u202e", "贸易")
@example("虚构", "\u2066", "贸易")
@example("虚构", "\u034f", "贸易")
@example("虚构", "\u17b5", "贸易")
@example("虚构", "\u3164", "贸易")
@example("虚构", "\u2065", "贸易")
@example("虚构", "\ufff3", "贸易")
@example("虚构", "\U000e0fff", "贸易")
def test_content_that_holds_what_nobody_sees_does_not_enter(
    before: str, hidden: str, after: str
) -> None:
    content = {"text": before + hidden + after, "a_text": "虚构\n\t\\u0000"}
    rejection = Rejection(RejectionReason.HIDDEN_CHARACTER, "content.text")
    assert RULE.fault(canonical(content), "") == rejection


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(content: bytes) -> None:
    fault = RULE.fault(content, "")
    if fault is None:
        assert canonical(json.loads(content)) == content
