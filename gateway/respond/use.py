"""What stays the same over all chunks of one call."""

from typing import NamedTuple

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authorise.bounds import Details
from operators.rules import Ask


class Use(NamedTuple):
    """What stays the same over all chunks of one call.

    ``details`` are the token's authorization details, ``revocable`` names what a
    revocation may stop it by. ``answer_may_be_empty`` is False where an answer without
    records is a refusal, ``most_bytes`` None where an answer may come in several messages.
    """

    ask: Ask
    details: Details
    revocable: frozenset[str]
    request_id: str
    purpose: Purpose.ValueType
    consent: str
    digest: bytes
    answer_may_be_empty: bool
    most_bytes: int | None
