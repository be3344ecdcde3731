"""A subject's own signature: of this receipt, by a key registered for it, and no other."""

from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import JWKRegistry, OctKey

from consent.subject_keys import SubjectKey
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from sdk.documents import DocumentRefused
from sdk.receipts import countersigned, verified_countersignature
from tests.consents.receipts import SUBJECT, Signing, encoded, granted
from tests.consents.subjects_own import ALGORITHMS, SubjectsOwn


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    """A gateway that signs receipts."""
    made = Signing(tmp_path_factory.mktemp("keys"))
    made.add("ES256")
    return made


@pytest.fixture(scope="module")
def receipt(signing: Signing) -> str:
    """The receipt to be signed."""
    return signing.receipts.signed(granted())


@pytest.fixture(scope="module", params=ALGORITHMS)
def own(request: pytest.FixtureRequest) -> SubjectsOwn:
    """A subject's key of each algorithm."""
    return SubjectsOwn(request.param)


@pytest.fixture(scope="module")
def detached(own: SubjectsOwn, receipt: str) -> str:
    """The subject's signature of the receipt."""
    return countersigned(receipt, own.key)


def refused(signing: Signing, receipt: str, detached: str, *keys: SubjectKey) -> str:
    """Return why a signature is refused: by its field, without a word of the receipt."""
    with pytest.raises(Refused) as refusal:
        signing.receipts.require_signature(receipt, detached, keys)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_INVALID_REQUEST
    [violation] = refusal.value.violations
    assert violation.field == "subject_signature"
    assert SUBJECT not in refusal.value.message
    return violation.description


def test_a_registered_key_signs_the_receipt(
    signing: Signing, receipt: str, own: SubjectsOwn, detached: str
) -> None:
    others = [SubjectsOwn(algorithm).registered for algorithm in ALGORITHMS]
    signing.receipts.require_signature(receipt, detached, [*others, own.registered])
    refused(signing, receipt, detached, *others)
    refused(signing, receipt, detached)


def test_another_receipts_signature_is_refused(
    signing: Signing, receipt: str, own: SubjectsOwn, detached: str
) -> None:
    other = signing.receipts.signed(granted(version=3))
    refused(signing, other, detached, own.registered)
    refused(signing, receipt, countersigned(other, own.key), own.registered)


@given(data=st.data())
def test_no_bit_of_a_signature_can_be_flipped(
    signing: Signing, receipt: str, own: SubjectsOwn, detached: str, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(detached) - 1))
    bit = data.draw(st.integers(0, 6))
    spoilt = detached[:index] + chr(ord(detached[index]) ^ 1 << bit) + detached[index + 1 :]
    refused(signing, receipt, spoilt, own.registered)


def test_other_forms_are_refused(
    signing: Signing, receipt: str, own: SubjectsOwn, detached: str
) -> None:
    header, signature = detached.split("..")
    for text in (
        f"{header}.{signature}",
        f"{header}.e30.{signature}",
        detached + ".",
        detached + "\n",
        f"{header}..",
        f"..{signature}",
        "",
        "..",
        "一..二",
    ):
        refused(signing, receipt, text, own.registered)
    assert "characters" in refused(signing, receipt, "x.." + "y" * 3_000, own.registered)


def test_a_whole_signature_is_not_taken_for_a_detached_one(
    signing: Signing, own: SubjectsOwn
) -> None:
    key: Any = load_pem_private_key(own.pem, None)
    whole = pyjwt.PyJWS().encode(b"short", key, own.algorithm)
    assert "dots" in refused(signing, "short", whole, own.registered)
    assert "dots" in refused(signing, "another", whole, own.registered)


def test_another_librarys_signature_is_taken(
    signing: Signing, receipt: str, own: SubjectsOwn
) -> None:
    key: Any = load_pem_private_key(own.pem, None)
    for header in ({}, {"kid": own.registered.thumbprint}, {"typ": "JOSE", "x-note": "ours"}):
        whole = pyjwt.PyJWS().encode(receipt.encode(), key, own.algorithm, headers=header)
        head, _, signature = whole.split(".")
        signing.receipts.require_signature(receipt, f"{head}..{signature}", [own.registered])


def test_another_library_verifies_the_signature(
    receipt: str, own: SubjectsOwn, detached: str
) -> None:
    header = pyjwt.get_unverified_header(detached)
    assert header["kid"] == own.registered.thumbprint
    verified = pyjwt.PyJWS().decode_complete(
        detached.replace("..", f".{_segment(receipt)}."),
        pyjwt.PyJWK.from_json(own.registered.jwk, own.algorithm),
        algorithms=[own.algorithm],
    )
    assert verified["payload"] == receipt.encode()


def test_no_header_talks_the_gateway_into_another_way_of_checking(
    signing: Signing, receipt: str, own: SubjectsOwn, detached: str
) -> None:
    signature = detached.split("..")[1]
    for header in ({"alg": "none"}, {"alg": "RS256"}, {"alg": ["ES256"]}, {}):
        told = refused(signing, receipt, f"{encoded(header)}..{signature}", own.registered)
        assert "ES256" in told or "header" in told
    secret = OctKey.import_key(own.registered.jwk)
    hashed = jws.serialize_compact({"alg": "HS256"}, receipt, secret)
    assert "PS256" in refused(signing, receipt, jws.detach_content(hashed), own.registered)


def test_a_signature_with_an_extension_is_refused(
    signing: Signing, receipt: str, own: SubjectsOwn
) -> None:
    key: Any = load_pem_private_key(own.pem, None)

    def made(**how: Any) -> str:
        return pyjwt.PyJWS().encode(receipt.encode(), key, own.algorithm, **how)

    for whole in (
        made(headers={"crit": ["exp"], "exp": 1}),
        made(headers={"crit": []}),
        # RFC 7797: over the payload itself, not its base64url.
        made(headers={"crit": ["b64"]}, is_payload_detached=True),
    ):
        assert "crit" in refused(signing, receipt, jws.detach_content(whole), own.registered)


def test_a_signature_that_names_another_key_is_refused(
    signing: Signing, receipt: str, own: SubjectsOwn
) -> None:
    key: Any = load_pem_private_key(own.pem, None)
    whole = pyjwt.PyJWS().encode(receipt.encode(), key, own.algorithm, headers={"kid": "another"})
    refused(signing, receipt, jws.detach_content(whole), own.registered)


def test_a_stranger_who_brings_its_key_along_is_refused(
    signing: Signing, receipt: str, own: SubjectsOwn
) -> None:
    stranger = SubjectsOwn(own.algorithm)
    key: Any = load_pem_private_key(stranger.pem, None)
    headers = {"jwk": stranger.key.public, "kid": own.registered.thumbprint}
    whole = pyjwt.PyJWS().encode(receipt.encode(), key, own.algorithm, headers=headers)
    refused(signing, receipt, jws.detach_content(whole), own.registered)


def test_ed25519_by_its_newer_name_is_the_same_signature(signing: Signing, receipt: str) -> None:
    own = SubjectsOwn("EdDSA")
    key = JWKRegistry.import_key({**own.private_jwk, "alg": "Ed25519"})
    registry = jws.JWSRegistry(algorithms=["Ed25519"])
    whole = jws.serialize_compact({"alg": "Ed25519"}, receipt, key, registry=registry)
    signing.receipts.require_signature(receipt, jws.detach_content(whole), [own.registered])


def _segment(text: str) -> str:
    return jws.serialize_compact({"alg": "HS256"}, text, OctKey.import_key("k" * 32)).split(".")[1]


def test_a_header_that_is_no_object_is_refused_as_any_other(
    signing: Signing, receipt: str, own: SubjectsOwn, detached: str
) -> None:
    signature = detached.rpartition(".")[2]
    jwk = own.registered.jwk
    for header in ([], ["alg"], "x", 1, None, True, {"alg": []}, {"alg": {}}):
        text = f"{encoded(header)}..{signature}"
        refused(signing, receipt, text, own.registered)
        with pytest.raises(DocumentRefused):
            verified_countersignature(receipt, text, jwk)


def test_who_holds_the_published_key_checks_the_signature_offline(
    signing: Signing, receipt: str, own: SubjectsOwn, detached: str
) -> None:
    by = signing.receipts.require_signature(receipt, detached, [own.registered])
    assert verified_countersignature(receipt, detached, by.jwk) == own.registered.thumbprint
    stranger = SubjectsOwn(own.algorithm).registered.jwk
    other = signing.receipts.signed(granted(version=3))
    for wrong in (
        (other, detached, by.jwk),
        (receipt, detached, stranger),
        (receipt, detached, ""),
        (receipt, detached, "[]"),
        (receipt, detached, '{"kty":"oct","k":"c2VjcmV0"}'),
        (receipt, detached[:-4] + "AAAA", by.jwk),
        (receipt, "", by.jwk),
        (receipt, "x" * 3_000, by.jwk),
    ):
        with pytest.raises(DocumentRefused):
            verified_countersignature(*wrong)
