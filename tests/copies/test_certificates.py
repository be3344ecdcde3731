"""A certificate of conformance is believed only as the gateway signed it, while it is good."""

from hashlib import sha256
from pathlib import Path

import pytest

from creditgate.conformance_certificate import (
    CERTIFICATE_TYPE,
    STATUS_TYPE,
    ConformanceCertificate,
)
from creditgate.transparency.note import Checkpoint, VerifierKey, checkpoint_body
from creditgate.transparency.note import signed as signed_note
from sdk.certificates import (
    certificate_issuer,
    certified_checkpoint,
    verified_certificate,
    verified_certificate_status,
)
from sdk.documents import DocumentRefused
from tests.clock import NOW
from tests.consents.receipts import DAY, ISSUER, Signing, decoded, encoded
from tests.transparency.keys import key_of

LOG = key_of()
CHECKPOINT = Checkpoint(LOG.verifier.name, 7, bytes(32))
CERTIFICATE = ConformanceCertificate(
    iss=ISSUER,
    sub="alpha-credit",
    jti="0069cc5fd0-" + "a1" * 12,
    iat=NOW,
    exp=NOW + 8 * DAY,
    operator_name="Alpha Credit (invented, 虚构)",
    operator_uscc="91000000DEM000011A",
    copies=999_990,
    entitled=1_000_000,
    missing=10,
    drawable=990_000,
    disclosure_sequence=4_711,
    checkpoint=signed_note(checkpoint_body(CHECKPOINT), LOG),
    status=f"{ISSUER}/conformance/certificates/0069cc5fd0-" + "a1" * 12,
)


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    """A gateway's keys."""
    made = Signing(tmp_path)
    made.add("ES256")
    return made


def signed(signing: Signing, typ: str = CERTIFICATE_TYPE) -> str:
    return signing.keys.sign(signing.book, CERTIFICATE.as_json(), typ, NOW)


def test_a_certificate_says_what_the_gateway_certified(signing: Signing) -> None:
    found = verified_certificate(signed(signing), signing.published, ISSUER, NOW)
    assert found.document == CERTIFICATE
    assert not found.key_retired
    pinned = VerifierKey.parse(str(LOG.verifier))
    assert certified_checkpoint(found.document, pinned) == CHECKPOINT


def test_a_certificate_is_good_until_it_says(signing: Signing) -> None:
    text = signed(signing)
    verified_certificate(text, signing.published, ISSUER, CERTIFICATE.exp - 1)
    with pytest.raises(DocumentRefused, match="not good any more"):
        verified_certificate(text, signing.published, ISSUER, CERTIFICATE.exp)


def test_a_certificate_of_the_future_is_refused(signing: Signing) -> None:
    text = signed(signing)
    verified_certificate(text, signing.published, ISSUER, NOW - 300)
    with pytest.raises(DocumentRefused, match="in the future"):
        verified_certificate(text, signing.published, ISSUER, NOW - 301)


def test_a_certificate_of_another_gateway_or_kind_is_refused(signing: Signing) -> None:
    with pytest.raises(DocumentRefused, match="Another gateway"):
        verified_certificate(signed(signing), signing.published, "https://other.test", NOW)
    with pytest.raises(DocumentRefused, match="typ"):
        verified_certificate(signed(signing, "at+jwt"), signing.published, ISSUER, NOW)


def test_a_certificate_with_anything_changed_is_refused(signing: Signing) -> None:
    header, claims, signature = signed(signing).split(".")
    said = decoded(claims)
    for name, value in said.items():
        changed = value + (1 if isinstance(value, int) else "0")
        text = f"{header}.{encoded({**said, name: changed})}.{signature}"
        with pytest.raises(DocumentRefused, match="altered"):
            verified_certificate(text, signing.published, ISSUER, NOW)


def test_a_checkpoint_that_another_log_signed_is_refused(signing: Signing) -> None:
    found = verified_certificate(signed(signing), signing.published, ISSUER, NOW)
    other = key_of("other.invalid/log/disclosure").verifier
    with pytest.raises(DocumentRefused, match="checkpoint"):
        certified_checkpoint(found.document, other)


def status_of(signing: Signing, certificate: str, at: int = NOW, **changed: str) -> str:
    """Return the signed status of a certificate."""
    said = {
        "iss": ISSUER,
        "iat": at,
        "schema_version": "1",
        "jti": CERTIFICATE.jti,
        "document_digest": sha256(certificate.encode()).hexdigest(),
        "state": "withdrawn",
    }
    return signing.keys.sign(signing.book, said | changed, STATUS_TYPE, at)


def test_a_status_tells_what_became_of_a_certificate_as_of_its_time(signing: Signing) -> None:
    text = signed(signing)
    statement = status_of(signing, text, NOW + 10)
    keys = signing.published
    found = verified_certificate_status(statement, text, keys, ISSUER, NOW + 3_610)
    assert (found.state, found.iat) == ("withdrawn", NOW + 10)
    with pytest.raises(DocumentRefused, match="older than 3600"):
        verified_certificate_status(statement, text, keys, ISSUER, NOW + 3_611)
    verified_certificate_status(statement, text, keys, ISSUER, NOW + 3_611, 3_601)


def test_a_status_of_another_certificate_or_from_before_it_is_refused(signing: Signing) -> None:
    text, keys = signed(signing), signing.published
    with pytest.raises(DocumentRefused, match="another certificate"):
        verified_certificate_status(status_of(signing, "x"), text, keys, ISSUER, NOW)
    newer = CERTIFICATE.model_copy(update={"iat": NOW + 5}).as_json()
    later = signing.keys.sign(signing.book, newer, CERTIFICATE_TYPE, NOW + 5)
    with pytest.raises(DocumentRefused, match="from before"):
        verified_certificate_status(status_of(signing, later), later, keys, ISSUER, NOW + 5)
    with pytest.raises(DocumentRefused, match="typ"):
        verified_certificate_status(text, text, keys, ISSUER, NOW)


def test_who_pinned_the_key_of_a_log_has_pinned_whose_certificates_are_bound_to_it(
    signing: Signing,
) -> None:
    text = signed(signing)
    own = VerifierKey("gateway.test/log/disclosure", LOG.verifier.public)
    assert certificate_issuer(text, own) == ISSUER
    other = VerifierKey("other.test/log/disclosure", LOG.verifier.public)
    with pytest.raises(DocumentRefused, match="name the issuer you trust"):
        certificate_issuer(text, other)
    with pytest.raises(DocumentRefused, match="no certificate"):
        certificate_issuer("a.b", own)
