"""A query between regions as the batch that it stands for. Pure; both regions make it alike.

What the home region signs names the request it answers by a digest, so the asking region has
to know that request to the byte.
"""

import re
from base64 import b32encode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsRequest
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest

CLIENT_PREFIX: Final = "region-"
"""What the client id of a region begins with, and no other's."""

REGION_REQUEST_ID: Final = re.compile(r"[a-z2-7]{52}")
"""What idempotency keys of questions to regions look like (`region_request_id`), and no operator's
own: who knows how they are made must not be able to use one up before."""

_CONSENT: Final = re.compile(r"consents/([0-9a-f]{10})[A-Za-z0-9._~-]{1,90}")
_DIGEST_CHARACTERS: Final = 29
"""With the time before it and the letter between, 40 characters: all an id may have."""


def region_client_id(entity_id: str) -> str:
    """Return the client id a region goes by everywhere: it follows from its entity id alone,
    so that each side knows it without being told."""
    return f"{CLIENT_PREFIX}{sha256(entity_id.encode()).hexdigest()[:24]}"


def region_request_id(operator_id: str, request_id: str, region: str) -> str:
    """Return the idempotency key of a question to one region, which its chunks are charged by in the
    asking one too; ``region`` is its entity identifier.

    Each operator names its requests itself, and to another region all are this region's: so it
    is made of both, the same for every retry. 52 characters, and they tell nothing.
    """
    digest = sha256(f"{region}\n{operator_id}\n{request_id}".encode()).digest()
    return b32encode(digest).decode().rstrip("=").lower()


def batch_of(query: QueryRecordsRequest, consent: str = "") -> BatchGetSubjectRecordsRequest:
    """Return the batch that ``query`` stands for in the home region.

    ``consent`` is the name that the home region knows the consent of its receipt by
    (`consent_elsewhere`), "" without a receipt.
    """
    return BatchGetSubjectRecordsRequest(
        subjects=query.subjects,
        items=query.items,
        purpose=query.purpose,
        request_id=query.request_id,
        consent=consent,
        resume_from=query.resume_from,
        proof=query.proof or ProofKind.PROOF_KIND_COMPLETE,
    )


def consent_elsewhere(issuer: str, consent: str) -> str:
    """Return the name by which other regions know a consent that ``issuer`` keeps as
    ``consent``, "consents/{id}": with the time it begins with, and a digest of both.

    Raises ValueError where that is no name of a consent.
    """
    match = _CONSENT.fullmatch(consent)
    if match is None:
        raise ValueError("a consent is named consents/{id}, its time first")
    digest = urlsafe_b64encode(sha256(f"{issuer}\n{consent}".encode()).digest()).decode()
    return f"consents/{match[1]}r{digest[:_DIGEST_CHARACTERS]}"
