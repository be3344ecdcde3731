"""What verifies, and what does not: answers against the log, the map and the request."""

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest

from creditgate.transparency import facts
from creditgate.transparency.answers import answer_leaf, request_digest, signed_text
from creditgate.transparency.completeness import verified_head, verify_subject
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import verify_answer, verify_subject_proof
from creditgate.v1.disclosure_proof_pb2 import (
    AnswerSignature,
    ProtectedOpening,
    SubjectProof,
    UnservedRecord,
)
from gateway.disclose.frame import field
from tests.transparency.lies import LIES
from tests.transparency.proving import Disclosure, Key, particulars_of, path
from tests.transparency.scenario import (
    AT,
    CLEAR,
    ENDS,
    FINE,
    FULL,
    HONEST,
    HONOUR,
    MAPPED,
    PAY,
    TAX,
    disclosure,
    unary,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made() -> Disclosure:
    """The disclosure all answers are of."""
    return disclosure()


@pytest.mark.parametrize("name", HONEST)
def test_honest_answer_verifies(made: Disclosure, name: str) -> None:
    exchange = HONEST[name](made)
    request = exchange.request.SerializeToString(deterministic=True)
    for place in range(3):
        parts = made.signed(exchange.request, *exchange.answers, place=place)
        for asked in (request, None):
            verified = verify_answer(asked, parts, made.key.verifier)
            assert list(verified.records) == [
                record for answer in exchange.answers for record in answer.records
            ]
            assert verified.kind == exchange.request.proof
            assert verified.receipt == exchange.answers[-1].receipt
            assert verified.checkpoint.size == len(made.entries)
            assert verified.request == (None if asked is None else exchange.request)


@pytest.mark.parametrize("name", LIES)
def test_lie_is_told_by_log_map_or_request(made: Disclosure, name: str) -> None:
    lie = LIES[name]
    exchange = lie.exchange(made)
    lie.change(exchange.answers[-1], made)
    parts = made.signed(exchange.request, *exchange.answers)
    request = exchange.request.SerializeToString(deterministic=True)
    with pytest.raises(ProofInvalid) as refused:
        verify_answer(request, parts, made.key.verifier)
    assert str(refused.value) == lie.reason


def test_subject_proof_tells_every_public_item_by_its_digest(made: Disclosure) -> None:
    head, proved = verify_subject_proof(made.subject_proof(FULL), FULL, made.key.verifier)
    assert (head.since, head.until) == (MAPPED, ENDS)
    assert [(each.record, each.item) for each in proved.unserved] == [
        ("records/a-1", FINE),
        ("records/a-2", FINE),
        ("records/a-3", HONOUR),
    ]
    assert (
        verify_subject_proof(made.subject_proof(CLEAR), CLEAR, made.key.verifier)[1].unserved == ()
    )
    with pytest.raises(ProofInvalid, match="not of all public items"):
        verify_subject_proof(made.subject_proof(FULL), CLEAR, made.key.verifier)


def test_members_told_by_digest_are_held_to_the_map(made: Disclosure) -> None:
    """Nothing of a member told without its content can be another."""
    changes: list[Callable[[UnservedRecord], object]] = [
        lambda member: setattr(member, "record", "records/a-9"),
        lambda member: setattr(member, "record", "a-1"),
        lambda member: setattr(member, "item", HONOUR),
        lambda member: setattr(member, "content_digest", bytes(32)),
        lambda member: setattr(member, "content_digest", b""),
        lambda member: setattr(member, "particulars_digest", bytes(32)),
        lambda member: member.ClearField("disclosed_until"),
        lambda member: member.opening.SetInParent(),
        lambda member: setattr(member.disclosed_from, "seconds", MAPPED + 1),
    ]
    for change in changes:
        response = made.subject_proof(FULL)
        proof = SubjectProof.FromString(response.proof)
        change(proof.public_set.unserved[0])
        response.proof = proof.SerializeToString(deterministic=True)
        with pytest.raises(ProofInvalid):
            verify_subject_proof(response, FULL, made.key.verifier)


def test_protected_members_may_be_told_by_digest_where_no_answer_is_given(
    made: Disclosure,
) -> None:
    """As reports do for what lies outside their period."""
    exchange = HONEST["complete: public and protected items"](made)
    (answer,) = exchange.answers
    head = verified_head(answer.proof.checkpoint, answer.proof.map_head, made.key.verifier)
    (proof,) = answer.proof.subjects
    record = answer.records[2]
    opening = proof.protected_sets[0].openings.pop(0)
    closed = ProtectedOpening(
        content_commitment=facts.content_commitment(opening.content_salt, record.content_digest),
        hidden_fields=opening.hidden_fields,
    )
    member = proof.protected_sets[0].unserved.add(
        record=record.name,
        item=record.item,
        disclosed_from=record.disclosed_from,
        opening=closed,
        particulars_digest=particulars_of(record),
    )
    others = [each for each in answer.records if each is not record]
    assert verify_subject(proof, others, head, None).unserved == (member,)
    with pytest.raises(ProofInvalid, match="left out"):
        verify_subject(proof, others, head, AT)
    for change in (
        lambda: setattr(member, "content_digest", bytes(32)),
        lambda: setattr(member, "item", FINE),
        lambda: setattr(member.opening, "content_commitment", bytes(32)),
    ):
        kept = UnservedRecord.FromString(member.SerializeToString())
        change()
        with pytest.raises(ProofInvalid):
            verify_subject(proof, others, head, None)
        member.CopyFrom(kept)


def test_of_protected_items_it_is_the_gateways_word_that_nothing_was_left_out(
    made: Disclosure,
) -> None:
    for name, told in (
        ("complete: two records of an item", []),
        ("complete: no record of an item", []),
        ("complete: items not named", []),
        ("complete: public and protected items", [(FULL, TAX)]),
        ("complete: no record of a protected item", [(CLEAR, PAY)]),
    ):
        exchange = HONEST[name](made)
        parts = made.signed(exchange.request, *exchange.answers)
        verified = verify_answer(None, parts, made.key.verifier)
        assert list(verified.complete_on_word()) == told, name


def test_a_second_leaf_with_one_of_two_records_is_the_gateways_word() -> None:
    """Whoever has the log's key can sign such a map, and is caught by the other record alone."""
    made = disclosure()
    first, _ = made.live(FULL, AT, [TAX])
    exchange = unary(made, FULL, TAX, served=[first])
    (answer,) = exchange.answers
    (proof,) = answer.proof.subjects
    (only,) = proof.protected_sets
    made.put_second_leaf(only, first)
    made.sign(MAPPED)
    only.path.CopyFrom(path(made.protected_leaves(), only.key))
    answer.proof.checkpoint = made.checkpoint()
    answer.proof.map_head.CopyFrom(made.head(opened=True))
    verified = verify_answer(None, made.signed(exchange.request, answer), made.key.verifier)
    assert verified.complete_on_word() == ((FULL, TAX),)


def test_answer_of_another_key_or_request_does_not_verify(made: Disclosure) -> None:
    exchange = HONEST["complete: two records of an item"](made)
    request = exchange.request.SerializeToString(deterministic=True)
    parts = made.signed(exchange.request, *exchange.answers)
    with pytest.raises(ProofInvalid, match="not of the gateway's key"):
        verify_answer(request, parts, Key(b"another").verifier)
    exchange.request.request_id = "r-2"
    with pytest.raises(ProofInvalid, match="another request"):
        verify_answer(
            exchange.request.SerializeToString(deterministic=True), parts, made.key.verifier
        )
    unsigned = exchange.answers[0].SerializeToString(deterministic=True)
    with pytest.raises(ProofInvalid, match="not signed"):
        verify_answer(request, unsigned, made.key.verifier)
    for nothing in (b"", [], b"\xff"):
        with pytest.raises(ProofInvalid):
            verify_answer(request, nothing, made.key.verifier)


def test_bytes_are_read_in_their_one_form_alone(made: Disclosure) -> None:
    """Whoever signed them: another form of the same message could hide what it says."""
    exchange = HONEST["complete: two records of an item"](made)
    (answer,) = exchange.answers
    body = answer.SerializeToString(deterministic=True)
    proof = answer.proof.SerializeToString(deterministic=True)
    forms = {
        "unknown field": body + b"\x92\x03\x01x",
        "long length": body.replace(b"\x0a", b"\x0a", 1) + b"\x78\x80\x00",
        "out of order": field(3, proof) + body[: body.rindex(field(3, proof))],
        "default told": body + b"\x20\x00",
    }
    for form in forms.values():
        digest = request_digest("creditgate.v1.GetSubjectRecordsRequest", b"")
        signature = AnswerSignature(
            request_digest=digest,
            size=1,
            signature=made.key.sign(signed_text(1, answer_leaf(digest, form))),
        )
        signed = form + field(4, signature.SerializeToString(deterministic=True))
        with pytest.raises(ProofInvalid, match=r"not those a gateway writes|are no"):
            verify_answer(None, signed, made.key.verifier)


def test_an_answer_that_is_cut_off_is_told_so() -> None:
    vectors = json.loads((ROOT / "docs" / "vectors" / "answers.json").read_text("utf-8"))
    (part,) = map(b64decode, vectors["answers"][0]["parts"])
    key = VerifierKey.parse(vectors["key"])
    for length in range(1, len(part), 7):
        with pytest.raises(ProofInvalid, match="cut off"):
            verify_answer(None, [part[:length]], key)
