"""Authentication of calls by a key that their proof is of (RFC 9449 section 7)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.refusal import Refused, StatusCode, reason_name
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.caller import Caller
from gateway.authenticate.proof import read_proof
from gateway.authenticate.token import TokenVerifier
from gateway.oauth.keys import KIND, SigningKeyBook
from gateway.oauth.signing import SigningKeys
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import Issued, make_ca, make_client_certificate
from operators.authority import Authority
from operators.jwks import key_thumbprints
from operators.log import Change
from operators.model import CLIENT, Client
from tests.clock import NOW
from tests.oauth.proofs import new_key, proof_of
from tests.oauth.world import Snapshot

ISSUER = "https://issuer.test"
AUDIENCE = "https://gateway.test/credit"
URI = "https://gate.test/creditgate.v1.CreditRecordService/GetSubjectRecords"
CLIENT_ID = "alpha-keyed"
KEY = new_key()


class Scene(NamedTuple):
    """A client bound to KEY with a token, and the certificate of a proxy."""

    proxy: Issued
    keys: SigningKeys
    view: Snapshot
    client: Client

    def token(self, **cnf: str) -> str:
        claims = {
            "iss": ISSUER,
            "sub": CLIENT_ID,
            "aud": AUDIENCE,
            "client_id": CLIENT_ID,
            "scope": "credit.records:read",
            "iat": NOW,
            "exp": NOW + 300,
            "jti": "token-1",
            "cnf": cnf or {"jkt": KEY.thumbprint()},
            "client_key": next(iter(key_thumbprints(self.client.jwks))),
        }
        return self.keys.sign(self.view.signing_keys, claims, "at+jwt", NOW)

    def with_client(self, **changed: Any) -> Snapshot:
        document = self.client.model_copy(update=changed).as_document()
        change = Change(3, CLIENT, CLIENT_ID, 2, document, "office", NOW, "test")
        return Snapshot(self.view.authority.advanced([change]), self.view.signing_keys)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder: Path = tmp_path_factory.mktemp("keys")
    keys = SigningKeys(folder)
    jwk = keys.create("ES256")
    client = Client(
        client_id=CLIENT_ID,
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id="alpha",
        jwks=make_assertion_key().jwks,
        binding="dpop",
        certificate_thumbprints=frozenset(),
    )
    document = {"kid": jwk["kid"], "jwk": jwk, "active_from": 0, "retired_at": None}
    changes = [
        Change(1, CLIENT, CLIENT_ID, 1, client.as_document(), "office", NOW, "test"),
        Change(2, KIND, jwk["kid"], 1, document, "office", NOW, "test"),
    ]
    view = Snapshot(Authority.empty().advanced(changes), SigningKeyBook.empty().advanced(changes))
    proxy = make_client_certificate(make_ca("test root", NOW), "proxy", NOW)
    return Scene(proxy, keys, view, client)


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator(TokenVerifier(ISSUER, AUDIENCE))


def _reason(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        call()
    return reason_name(refused.value.reason)


def _called(
    scene: Scene,
    authenticator: Authenticator,
    authorization: str,
    proven: str | None,
    view: Snapshot | None = None,
    now: int = NOW,
) -> Caller:
    return authenticator.authenticate(
        scene.proxy.certificate, authorization, view or scene.view, now, proven
    )


def test_caller_is_known_by_its_key_whatever_the_connection_shows(
    scene: Scene, authenticator: Authenticator
) -> None:
    for scheme in ("DPoP", "dpop", "DPOP"):
        caller = _called(scene, authenticator, f"{scheme} {scene.token()}", KEY.thumbprint())
        assert (caller.client_id, caller.operator_id) == (CLIENT_ID, "alpha")


def test_token_works_with_its_own_key_only(scene: Scene, authenticator: Authenticator) -> None:
    token = scene.token()
    certified = scene.token(**{"x5t#S256": scene.proxy.thumbprint})
    for authorization, proven, reason in (
        (f"DPoP {token}", new_key().thumbprint(), "TOKEN_NOT_YOURS"),
        (f"DPoP {token}", scene.proxy.thumbprint, "TOKEN_NOT_YOURS"),
        (f"DPoP {token}", None, "TOKEN_PROOF_INVALID"),
        (f"Bearer {token}", KEY.thumbprint(), "TOKEN_NOT_YOURS"),
        (f"Bearer {token}", None, "TOKEN_NOT_YOURS"),
        (f"DPoP {certified}", scene.proxy.thumbprint, "TOKEN_NOT_YOURS"),
        (f"DPoP {certified}", KEY.thumbprint(), "TOKEN_NOT_YOURS"),
        ("DPoP", KEY.thumbprint(), "TOKEN_MISSING"),
        ("DPoPx " + token, KEY.thumbprint(), "TOKEN_MISSING"),
    ):
        told = _reason(lambda a=authorization, p=proven: _called(scene, authenticator, a, p))
        assert told == reason, (authorization, proven)
        _called(scene, authenticator, f"DPoP {token}", KEY.thumbprint())


def test_client_of_a_key_stops_with_its_removal_and_its_binding(
    scene: Scene, authenticator: Authenticator
) -> None:
    authorization = f"DPoP {scene.token()}"
    _called(scene, authenticator, authorization, KEY.thumbprint())
    for view in (
        scene.with_client(removed_at=NOW),
        scene.with_client(
            binding="mtls", certificate_thumbprints=frozenset({scene.proxy.thumbprint})
        ),
        Snapshot(Authority.empty(), scene.view.signing_keys),
    ):
        reason = _reason(
            lambda view=view: _called(scene, authenticator, authorization, KEY.thumbprint(), view)
        )
        assert reason == "CLIENT_NOT_ACTIVE"


def test_token_of_a_key_ends_on_the_second(scene: Scene, authenticator: Authenticator) -> None:
    authorization = f"DPoP {scene.token()}"
    _called(scene, authenticator, authorization, KEY.thumbprint(), now=NOW + 299)
    reason = _reason(
        lambda: _called(scene, authenticator, authorization, KEY.thumbprint(), now=NOW + 300)
    )
    assert reason == "TOKEN_EXPIRED"


def test_one_proof_of_text_is_read(scene: Scene) -> None:
    token = scene.token()
    proof = proof_of(KEY, URI, NOW, token)
    read = read_proof([proof], f"DPoP {token}", URI, NOW)
    assert read.thumbprint == KEY.thumbprint()
    for values, authorization in (
        ([], f"DPoP {token}"),
        ([proof, proof], f"DPoP {token}"),
        ([proof.encode()], f"DPoP {token}"),
        ([proof], f"Bearer {token}"),
        ([proof], f"Mine {token}"),
        ([proof], None),
        ([proof], "DPoP another"),
    ):
        reason = _reason(lambda v=values, a=authorization: read_proof(v, a, URI, NOW))
        assert reason == "TOKEN_PROOF_INVALID"


_PIECE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@given(data=st.data())
def test_no_mutated_proof_is_taken_and_each_is_refused_as_unauthenticated(
    scene: Scene, data: st.DataObject
) -> None:
    token = scene.token()
    proof = proof_of(KEY, URI, NOW, token, nonce="n")
    start = data.draw(st.integers(0, len(proof) - 1))
    end = data.draw(st.integers(start, len(proof)))
    mutated = proof[:start] + data.draw(_PIECE) + proof[end:]
    if mutated == proof:
        return
    with pytest.raises(Refused) as refused:
        read_proof([mutated], f"DPoP {token}", URI, NOW)
    assert refused.value.status is StatusCode.UNAUTHENTICATED
