"""Client metadata: what the FAPI 2.0 Security Profile allows, refused by field otherwise."""

import json
from typing import Any

import pytest
from authlib.oauth2 import OAuth2Error
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.client_metadata import ClientMetadata, client_of, read_metadata
from gateway.oauth.jose import ALGORITHMS
from operators.model import Client
from tests.operators.things import public_keys

THUMBPRINT = frozenset({"A" * 43})
GOOD: dict[str, Any] = {
    "client_name": "Invented Checker",
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["client_credentials"],
    "jwks": json.loads(public_keys()),
    "tls_client_certificate_bound_access_tokens": True,
}


def client(document: dict[str, Any], thumbprints: frozenset[str] = THUMBPRINT) -> Client:
    """Return the client that metadata describe; None in them removes a field."""
    sent = {name: value for name, value in document.items() if value is not None}
    return client_of(read_metadata(sent), "alpha-two", "alpha", thumbprints)


def refused(document: dict[str, Any], thumbprints: frozenset[str] = THUMBPRINT) -> tuple[str, str]:
    """Return error and description."""
    with pytest.raises(OAuth2Error) as error:
        client(document, thumbprints)
    return str(error.value.error), str(error.value.description)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"token_endpoint_auth_method": "client_secret_basic"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "none"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": None}, "invalid_client_metadata"),
        ({"token_endpoint_auth_signing_alg": "RS256"}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": []}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials", "refresh_token"]}, "invalid_client_metadata"),
        ({"grant_types": None}, "invalid_redirect_uri"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"response_types": ["code"]}, "invalid_client_metadata"),
        ({"redirect_uris": ["https://checker.example/back"]}, "invalid_redirect_uri"),
        ({"jwks": None}, "invalid_client_metadata"),
        ({"jwks": {"keys": []}}, "invalid_client_metadata"),
        ({"jwks": "keys"}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "invalid_client_metadata"),
        ({"jwks_uri": "https://checker.example/keys"}, "invalid_client_metadata"),
        ({"tls_client_auth_subject_dn": "CN=checker"}, "invalid_client_metadata"),
        ({"tls_client_certificate_bound_access_tokens": False}, "invalid_client_metadata"),
        ({"dpop_bound_access_tokens": True}, "invalid_client_metadata"),
        ({"dpop_bound_access_tokens": "false"}, "invalid_client_metadata"),
        ({"authorization_details_types": ["payment"]}, "invalid_client_metadata"),
        ({"client_name": ""}, "invalid_client_metadata"),
        ({"software_id": "a b"}, "invalid_client_metadata"),
        ({"software_version": "\u4e00"}, "invalid_client_metadata"),
        ({"request_object_signing_alg": "none"}, "invalid_client_metadata"),
    ],
)
def test_metadata_outside_the_profile_are_refused_by_field(
    changed: dict[str, Any], error: str
) -> None:
    told, why = refused({**GOOD, **changed})
    assert told == error
    field = next(iter(changed))
    assert field in why or field in {"grant_types", "response_types"} or "_bound_" in why


@pytest.mark.parametrize(
    "uri",
    [
        "http://checker.example/back",
        "https://checker.example/*",
        "https://checker.example/back#top",
        "https://user@checker.example/back",
        "custom:/back",
        "javascript:alert(1)",
        "http://localhost/back",
        "//checker.example/back",
        "",
    ],
)
def test_a_redirect_uri_that_is_not_exact_https_is_refused(uri: str) -> None:
    document = {
        **GOOD,
        "grant_types": ["authorization_code"],
        "redirect_uris": ["https://checker.example/back", uri],
    }
    assert refused(document)[0] == "invalid_redirect_uri"


def test_the_certificate_is_registered_whatever_tokens_are_bound_to() -> None:
    by_proofs = {
        "tls_client_certificate_bound_access_tokens": None,
        "dpop_bound_access_tokens": True,
    }
    assert client(GOOD).certificate_thumbprints == THUMBPRINT
    assert client({**GOOD, **by_proofs}).certificate_thumbprints == THUMBPRINT
    by_tls = {"token_endpoint_auth_method": "tls_client_auth"}
    assert client({**GOOD, **by_proofs, **by_tls}).certificate_thumbprints == THUMBPRINT
    assert "certificate" in refused(GOOD, frozenset())[1]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_of_the_profile_can_be_named(algorithm: str) -> None:
    named = {
        "token_endpoint_auth_signing_alg": algorithm,
        "request_object_signing_alg": algorithm,
    }
    assert client({**GOOD, **named}).client_id


def test_unknown_metadata_are_left_aside() -> None:
    assert client({**GOOD, "favourite_colour": "red"}) == client(GOOD)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("client_credentials"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*ClientMetadata.model_fields]), values))
def test_whatever_is_sent_makes_a_client_or_is_refused(changed: dict[str, Any]) -> None:
    try:
        made = client_of(read_metadata({**GOOD, **changed}), "alpha-two", "alpha", THUMBPRINT)
    except OAuth2Error as error:
        assert error.error in {"invalid_client_metadata", "invalid_redirect_uri"}
        assert str(error.description).isascii()
    else:
        assert made.authentication in {"private_key_jwt", "tls_client_auth"}
        assert made.operator_id == "alpha"
