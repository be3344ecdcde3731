"""A byte changed anywhere is told: in answer, proof, checkpoint, request and key.

Changed on the way, the signature tells it. Changed by the gateway itself, before it signs, log
and map tell it, but for what they say nothing of: the receipt's ids and charges.
"""

import random
from collections.abc import Iterator
from typing import Final

import pytest

from creditgate.transparency.content import members_of
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import VerifiedAnswer, verify_answer
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from tests.transparency.proving import Disclosure
from tests.transparency.scenario import HONEST, disclosure

FEW_AND_MANY: Final = [150, pytest.param(1_000, marks=pytest.mark.soak)]
"""Bytes of an answer that are changed: in each run, and in the long one."""
# What the log and the map do not speak of.
_RECEIPT_ALONE: Final = (
    "decision_id",
    "disclosure_sequence",
    "charged_entries",
    "charged_micro_yuan",
    "replayed",
    "serve_time",
)


@pytest.fixture(scope="module")
def made() -> Disclosure:
    """The disclosure all answers are of."""
    return disclosure()


def changed(data: bytes, chosen: random.Random, count: int) -> Iterator[bytes]:
    """Yield ``data`` with one byte changed, at up to ``count`` places spread over it."""
    places = range(len(data))
    for place in chosen.sample(places, count) if count < len(data) else places:
        other = data[place] ^ chosen.randrange(1, 256)
        yield data[:place] + bytes((other,)) + data[place + 1 :]


def reshaped(data: bytes, chosen: random.Random, count: int) -> Iterator[bytes]:
    """Yield ``data`` with a byte more, a byte less, a part twice, and cut short."""
    for _ in range(count // 4):
        place, end = sorted(chosen.sample(range(len(data) + 1), 2))
        yield data[:place] + bytes((chosen.randrange(256),)) + data[place:]
        yield data[:place] + data[place + 1 :] if place < len(data) else data[1:]
        yield data[:end] + data[place:]
        yield data[:place]


def copied(record: DisclosedRecord) -> DisclosedRecord:
    """Return a record to change."""
    copy = DisclosedRecord()
    copy.CopyFrom(record)
    return copy


def proved(verified: VerifiedAnswer) -> object:
    """Return what of a verified answer log and map prove."""
    receipt = Receipt()
    receipt.CopyFrom(verified.receipt)
    for name in _RECEIPT_ALONE:
        receipt.ClearField(name)
    # Whether a field that is named and not there is hidden or missing, neither tells.
    records = tuple(map(copied, verified.records))
    for record in records:
        there = [member.name for member in members_of(record.content.decode())]
        record.served_fields[:] = [name for name in record.served_fields if name in there]
    return verified._replace(receipt=receipt, records=records)


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("most", FEW_AND_MANY)
def test_answer_changed_on_its_way_never_verifies(made: Disclosure, most: int, name: str) -> None:
    chosen = random.Random(name)  # which bytes, the same in every run
    exchange = HONEST[name](made)
    request = exchange.request.SerializeToString(deterministic=True)
    parts = made.signed(exchange.request, *exchange.answers)
    key = made.key.verifier
    verify_answer(request, parts, key)
    for number, part in enumerate(parts):
        count = most // len(parts)
        for other in (*changed(part, chosen, count), *reshaped(part, chosen, count // 4)):
            if other != part:
                with pytest.raises(ProofInvalid):
                    verify_answer(request, [*parts[:number], other, *parts[number + 1 :]], key)
    for other in (*changed(request, chosen, most // 10), *reshaped(request, chosen, most // 25)):
        if other != request:
            with pytest.raises(ProofInvalid):
                verify_answer(other, parts, key)


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("most", FEW_AND_MANY)
def test_answer_changed_before_it_was_signed_proves_the_same_or_nothing(
    made: Disclosure, most: int, name: str
) -> None:
    chosen = random.Random(name)  # which bytes, the same in every run
    exchange = HONEST[name](made)
    request = exchange.request.SerializeToString(deterministic=True)
    kind = type(exchange.answers[0])
    *former, last = [each.SerializeToString(deterministic=True) for each in exchange.answers]
    parts = made.signed_bytes(exchange.request, kind, [*former, last])
    expected = proved(verify_answer(request, parts, made.key.verifier))
    told = 0
    for other in changed(last, chosen, most):
        parts = made.signed_bytes(exchange.request, kind, [*former, other])
        try:
            verified = verify_answer(request, parts, made.key.verifier)
        except ProofInvalid:
            told += 1
        else:
            assert proved(verified) == expected
    assert told > 0.8 * min(most, len(last))


def test_key_changed_is_no_key_or_another(made: Disclosure) -> None:
    exchange = HONEST["complete: two records of an item"](made)
    parts = made.signed(exchange.request, *exchange.answers)
    vkey = str(made.key.verifier)
    chosen = random.Random(vkey)  # which bytes, the same in every run
    refused = 0
    for _ in range(4):
        for other in changed(vkey.encode(), chosen, len(vkey)):
            try:
                key = VerifierKey.parse(other.decode("utf-8", "replace"))
            except ValueError:
                refused += 1
                continue
            # The id of a key is read in either case of letters.
            if key != made.key.verifier:
                with pytest.raises(ProofInvalid):
                    verify_answer(None, parts, key)
    assert refused > 3 * len(vkey)
