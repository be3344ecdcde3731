"""Members of sets: what the gateway makes of a record is what a verifier makes of it."""

from hashlib import sha256

import pytest

from creditgate.transparency.members import protected_member, public_member, unserved_member
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.disclose.frame import frame, unframe
from gateway.respond.mask import masked
from gateway.transparency.members import Members, stated
from gateway.transparency.salts import Salts

MEMBERS = Members(Salts(sha256(b"salts of tests").digest()))
CONTENT = '{"grade":"A","name":"虚构有限公司","score":7}'.encode()


def record(content: bytes = CONTENT, until: int | None = 2_000) -> DisclosedRecord:
    """Return an invented record, whole."""
    made = DisclosedRecord(
        name="records/r-1",
        revision=2,
        subject="91000000DEM000011A",
        item="evaluation.public-credit",
        source="虚构发改委",
        region="000000",
        severity=Severity.SEVERITY_SERIOUS,
        content=content,
        content_digest=sha256(content).digest(),
        event_sequence=7,
    )
    made.disclosed_from.seconds = 1_000
    if until is not None:
        made.disclosed_until.seconds = until
    return made


@pytest.mark.parametrize("until", [2_000, None])
def test_a_public_record_is_the_member_that_a_verifier_makes_of_it(until: int | None) -> None:
    whole = record(until=until)
    digest = MEMBERS.digest(stated(whole), False)
    assert public_member(whole) == digest
    assert unserved_member(MEMBERS.unserved(frame(whole), False), protected=False) == digest


@pytest.mark.parametrize("names", [(), ("grade",), ("grade", "score"), ("absent", "name")])
@pytest.mark.parametrize("until", [2_000, None])
def test_a_protected_record_is_the_same_member_whole_or_cut(
    until: int | None, names: tuple[str, ...]
) -> None:
    stored = frame(record(until=until))
    digest = MEMBERS.digest(stated(unframe(stored)), True)
    served = unframe(masked(stored, names)) if names else unframe(stored)
    opening = MEMBERS.opening(7, served, stored)
    assert protected_member(served, opening) == digest
    assert unserved_member(MEMBERS.unserved(stored, True), protected=True) == digest


def test_an_opening_of_some_fields_opens_no_others() -> None:
    stored = frame(record())
    opening = MEMBERS.opening(7, unframe(masked(stored, ("grade",))), stored)
    whole = MEMBERS.opening(7, unframe(stored), stored)
    assert not opening.content_salt
    assert [salt.name for salt in opening.field_salts] == ["grade"]
    # A digest that was hidden cannot be guessed at: its salt is told with no field but its own.
    assert not {salt.salt for salt in opening.field_salts} & set(whole.hidden_fields)
    with pytest.raises(ProofInvalid):
        protected_member(unframe(stored), opening)


def test_what_is_not_served_shows_nothing_of_protected_content() -> None:
    member = MEMBERS.unserved(frame(record()), True)
    assert not member.content_digest
    assert not member.opening.content_salt
    assert not member.opening.field_salts
    assert sha256(CONTENT).digest() not in member.SerializeToString()


@pytest.mark.parametrize(
    "field", ["name", "revision", "source", "region", "severity", "content", "event_sequence"]
)
@pytest.mark.parametrize("protected", [False, True])
def test_another_statement_is_another_member(field: str, protected: bool) -> None:
    other = record()
    if field == "content":
        other = record(CONTENT.replace(b"7", b"8"))
    elif field in {"revision", "event_sequence", "severity"}:
        setattr(other, field, getattr(other, field) - 1)
    else:
        setattr(other, field, getattr(other, field) + "9")
    digests = {MEMBERS.digest(stated(each), protected) for each in (record(), other)}
    assert len(digests) == 2
