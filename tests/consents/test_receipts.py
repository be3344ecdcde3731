"""Receipts: only the gateway's own, unaltered, of their own type, readable for good."""

import json
import string
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey

from creditgate.consent_artefact import RECEIPT_TYPE, ConsentArtefact
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.claims import CERTIFICATE, Confirmation
from gateway.authenticate.token import TokenVerifier
from gateway.authority.view import AuthorityView
from gateway.oauth.signing import SIGNING_ALGORITHMS, SigningAlgorithm
from sdk.documents import DocumentRefused
from sdk.receipts import verified_receipt
from tests.clock import NOW
from tests.consents.receipts import ISSUER, SUBJECT, Signing, encoded, granted, parts

BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


@pytest.fixture(scope="module", params=SIGNING_ALGORITHMS)
def signing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Signing:
    """A gateway with one key of each algorithm."""
    made = Signing(tmp_path_factory.mktemp("keys"))
    made.add(request.param)
    return made


@pytest.fixture(scope="module")
def receipt(signing: Signing) -> str:
    """The receipt of a consent granted now."""
    return signing.receipts.signed(granted())


def refused(receipt: str, keys: dict[str, Any], issuer: str = ISSUER) -> str:
    """Return why a receipt is refused."""
    with pytest.raises(DocumentRefused) as refusal:
        verified_receipt(receipt, keys, issuer)
    assert SUBJECT not in str(refusal.value)
    return str(refusal.value)


def test_a_receipt_says_who_allowed_what_to_whom(signing: Signing, receipt: str) -> None:
    found = verified_receipt(receipt, signing.published, ISSUER)
    artefact = found.document
    assert not found.key_retired
    assert (artefact.subject, artefact.operator_id, artefact.state) == (
        SUBJECT,
        "alpha-credit",
        "GRANTED",
    )
    assert artefact.representative == "representatives/" + "5" * 32
    assert [each.item for each in artefact.terms.items] == [
        "evaluation.public-credit",
        "payment.tax",
    ]
    assert artefact.terms.items[0].fields == ("grade", "score")
    assert artefact.terms.times_per_day == 5
    assert [(event.state, event.actor) for event in artefact.history] == [
        ("REQUESTED", "OPERATOR"),
        ("GRANTED", "SUBJECT"),
    ]


def test_no_character_of_a_receipt_can_be_changed(signing: Signing, receipt: str) -> None:
    keys = signing.published
    for index, character in enumerate(receipt):
        # The lowest bit of six: at the end of a segment it may carry nothing.
        other = BASE64URL[BASE64URL.find(character) ^ 1]
        refused(receipt[:index] + other + receipt[index + 1 :], keys)


@given(data=st.data())
def test_no_bit_of_what_is_signed_can_be_flipped(signing: Signing, data: st.DataObject) -> None:
    receipt = signing.receipts.signed(granted())
    index = data.draw(st.integers(0, len(receipt) - 1))
    bit = data.draw(st.integers(0, 7))
    flipped = chr(ord(receipt[index]) ^ 1 << bit)
    refused(receipt[:index] + flipped + receipt[index + 1 :], signing.published)


def test_other_forms_of_a_receipt_are_refused(signing: Signing, receipt: str) -> None:
    header, claims, signature = receipt.split(".")
    for text in (
        receipt + "\n",
        " " + receipt,
        receipt + "=",
        receipt[:-1],
        f"{receipt}.{signature}",
        f"{header}.{claims}.",
        f"{header}..{signature}",
        f"{header}。{claims}。{signature}",
        "",
        "..",
    ):
        refused(text, signing.published)
    assert "longer" in refused("x" * 2_000_001, signing.published)


def test_a_forgers_receipt_is_refused_whatever_its_header_says(
    signing: Signing, receipt: str
) -> None:
    header, claims = parts(receipt)
    own = ECKey.generate_key("P-256")
    for forged_header in (
        {**header, "alg": "ES256"},
        {**header, "alg": "ES256", "jwk": own.as_dict(private=False)},
        {**header, "alg": "ES256", "kid": own.thumbprint()},
        {"alg": "ES256", "typ": RECEIPT_TYPE},
        {**header, "alg": "ES256", "kid": "../../etc/passwd"},
    ):
        forged = jws.serialize_compact(forged_header, json.dumps(claims), own)
        refused(forged, signing.published)
    unsigned = f"{encoded({**header, 'alg': 'none'})}.{encoded(claims)}."
    assert "algorithm" in refused(unsigned, signing.published)
    public = json.dumps(signing.published["keys"][0])
    secret = OctKey.import_key(public)
    hashed = jws.serialize_compact({**header, "alg": "HS256"}, json.dumps(claims), secret)
    assert "algorithm" in refused(hashed, signing.published)


def test_what_the_gateway_signed_as_something_else_is_no_receipt(
    signing: Signing, receipt: str
) -> None:
    _, claims = parts(receipt)
    for typ in ("at+jwt", "JWT", "licence-statement+jwt", "CONSENT-RECEIPT+JWT"):
        other = signing.keys.sign(signing.book, claims, typ, NOW)
        assert "typ" in refused(other, signing.published)


def test_a_receipt_is_no_access_token(signing: Signing, receipt: str) -> None:
    view = AuthorityView(signing_keys=signing.book)
    with pytest.raises(Refused) as refusal:
        TokenVerifier(ISSUER, ISSUER).verify(receipt, Confirmation(CERTIFICATE, "x"), NOW, view)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_TOKEN_INVALID


def test_another_gateways_receipt_is_refused(
    signing: Signing, receipt: str, tmp_path: Path
) -> None:
    assert "gateway" in refused(receipt, signing.published, "https://other.test")
    elsewhere = Signing(tmp_path)
    elsewhere.add("ES256")
    refused(receipt, elsewhere.published)
    refused(receipt, {"keys": []})


@pytest.mark.parametrize("extension", [{"crit": ["exp"], "exp": 1}, {"crit": []}])
def test_a_receipt_with_an_extension_is_refused(
    signing: Signing, receipt: str, extension: dict[str, Any]
) -> None:
    _, claims, signature = receipt.split(".")
    changed = encoded({**parts(receipt)[0], **extension})
    assert "crit" in refused(f"{changed}.{claims}.{signature}", signing.published)


def test_a_receipt_with_a_field_more_is_not_guessed_at(signing: Signing, receipt: str) -> None:
    _, claims = parts(receipt)
    newer = signing.keys.sign(signing.book, {**claims, "unless": "rain"}, RECEIPT_TYPE, NOW)
    assert "version" in refused(newer, signing.published)


@pytest.mark.parametrize("algorithm", SIGNING_ALGORITHMS)
def test_a_receipt_stays_readable_when_its_key_is_retired(
    tmp_path: Path, algorithm: SigningAlgorithm
) -> None:
    signing = Signing(tmp_path)
    old = signing.add(algorithm, NOW - 10)
    receipt = signing.receipts.signed(granted())
    signing.add("EdDSA", NOW + 10)
    signing.retire(old, NOW + 500)
    signing.clock.at = NOW + 1_000
    found = verified_receipt(receipt, signing.published, ISSUER)
    assert (found.kid, found.key_retired) == (old, True)
    later = verified_receipt(signing.receipts.signed(granted()), signing.published, ISSUER)
    assert (later.kid != old, later.key_retired) == (True, False)


def test_a_receipt_dated_when_its_key_did_not_sign_is_refused(tmp_path: Path) -> None:
    signing = Signing(tmp_path)
    old = signing.add("ES256")
    early, late = (
        signing.keys.sign(signing.book, {**parts(receipt)[1], "iat": at}, RECEIPT_TYPE, NOW)
        for at in (NOW - 1, NOW + 500)
        for receipt in [signing.receipts.signed(granted())]
    )
    assert "dated" in refused(early, signing.published)
    verified_receipt(late, signing.published, ISSUER)
    signing.add("ES256", NOW + 10)
    signing.retire(old, NOW + 500)
    assert "dated" in refused(late, signing.published)


def test_another_library_verifies_receipts_by_the_published_keys(
    signing: Signing, receipt: str
) -> None:
    [jwk] = signing.published["keys"]
    key = pyjwt.PyJWK(jwk)
    header = pyjwt.get_unverified_header(receipt)
    assert (header["typ"], header["kid"]) == (RECEIPT_TYPE, jwk["kid"])
    claims = pyjwt.decode(receipt, key, algorithms=[jwk["alg"]], issuer=ISSUER)
    assert ConsentArtefact.model_validate(claims).as_json() == claims


def test_a_key_by_the_other_name_of_ed25519_reads_the_same_receipt(tmp_path: Path) -> None:
    signing = Signing(tmp_path)
    signing.add("EdDSA")
    receipt = signing.receipts.signed(granted())
    [jwk] = signing.published["keys"]
    unnamed = {name: value for name, value in jwk.items() if name != "alg"}
    assert verified_receipt(receipt, {"keys": [unnamed]}, ISSUER).document.subject == SUBJECT
    other = OKPKey.generate_key("Ed25519").as_dict(private=False, kid=jwk["kid"])
    refused(receipt, {"keys": [other]})


def test_a_process_without_keys_signs_no_receipt(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        Signing(tmp_path).receipts.signed(granted())
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE
