"""An agreement holds by the operator's signature over the very checkpoint, and by nothing else."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.receipts import COSIGNATURE_TYPE
from creditgate.transparency.usage_evidence import USE, verify_evidence
from creditgate.v1.usage_evidence_pb2 import UsageAgreement, UsageEvidence
from sdk.signing import SigningKey
from sdk.usage_agreements import Agreed, agreed_by, checkpoint_digest
from tests.receipts import KEY
from tests.usage.promises import OPERATOR, Log, use

LOG = Log(use(0), use(1))
KEYS = [
    ec.generate_private_key(ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.generate(),
    rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
]


def signing(key: Any) -> SigningKey:
    """Return a client's signing key."""
    return SigningKey.read(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def agreed(key: SigningKey, shown: SigningKey | None = None, **changes: Any) -> Agreed | None:
    """Return who agreed by evidence whose cosignature has these changes."""
    typ = changes.pop("typ", COSIGNATURE_TYPE)
    claims = {
        "iss": "alpha-one",
        "sub": OPERATOR,
        "iat": 1,
        "checkpoint_sha256": checkpoint_digest(LOG.note),
    }
    agreement = UsageAgreement(
        checkpoint=LOG.note,
        cosignature=key.sign(claims | changes, typ=typ),
        jwk=json.dumps((shown or key).public),
    )
    evidence = UsageEvidence(kind=USE, leaves=[LOG.shown(1)], agreement=agreement)
    return agreed_by(verify_evidence(evidence.SerializeToString(deterministic=True), KEY.verifier))


@pytest.mark.parametrize("key", KEYS)
def test_agreement_names_client_and_key(key: Any) -> None:
    found = agreed(signing(key))
    assert found is not None
    assert (found.client_id, found.operator_id) == ("alpha-one", OPERATOR)
    assert len(found.thumbprint) == 43


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "JWT"},
        {"sub": "beta"},
        {"checkpoint_sha256": checkpoint_digest(LOG.note + "x")},
        {"shown": signing(ec.generate_private_key(ec.SECP256R1()))},
        {"shown": signing(KEYS[1])},
    ],
)
def test_agreement_to_something_else_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ProofInvalid, match="agreement"):
        agreed(signing(KEYS[0]), **changes)


def test_use_without_agreement_is_agreed_with_by_nobody() -> None:
    evidence = UsageEvidence(kind=USE, leaves=[LOG.shown(1)])
    found = verify_evidence(evidence.SerializeToString(deterministic=True), KEY.verifier)
    assert agreed_by(found) is None
