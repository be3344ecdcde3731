"""Authentication of calls: token, certificate, client (RFC 9068 section 4, RFC 8705)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey

from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.caller import Caller
from gateway.authenticate.claims import CERTIFICATE, Confirmation
from gateway.authenticate.token import TokenVerifier
from gateway.oauth.keys import KIND, SigningKeyBook
from gateway.oauth.revocations import LoggedRevocation, Revocation, RevocationBook
from gateway.oauth.signing import SigningKeys
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import Issued, make_ca, make_client_certificate
from operators.authority import Authority
from operators.jwks import key_thumbprints
from operators.log import Change
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant
from operators.openings import openings
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition
from tests.oauth.assertions import signed
from tests.oauth.world import Snapshot

NOW = 1_800_000_000
ISSUER = "https://issuer.test"
AUDIENCE = "https://gateway.test/credit"
READ = "credit.records:read"


class Scene(NamedTuple):
    """A client, its certificate, another certificate, and a signer."""

    certificate: Issued
    other: Issued
    keys: SigningKeys
    key: ECKey
    kid: str
    view: Snapshot

    def claims(self, **changed: Any) -> dict[str, Any]:
        claims = {
            "iss": ISSUER,
            "sub": "alpha-one",
            "aud": AUDIENCE,
            "client_id": "alpha-one",
            "scope": READ,
            "iat": NOW,
            "exp": NOW + 300,
            "jti": "token-1",
            "cnf": {"x5t#S256": self.certificate.thumbprint},
            "client_key": self.client_key,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    @property
    def client_key(self) -> str:
        (thumbprint,) = key_thumbprints(self.view.authority.clients["alpha-one"].jwks)
        return thumbprint

    def ancestor(self, **changed: str) -> dict[str, str]:
        """Return how a token names one it was exchanged from."""
        named = {"jti": "token-0", "client_id": "alpha-one", "client_key": self.client_key}
        return {**named, **changed}

    @property
    def shown(self) -> Confirmation:
        return Confirmation(CERTIFICATE, self.certificate.thumbprint)

    def token(self, **changed: Any) -> str:
        return self.keys.sign(self.view.signing_keys, self.claims(**changed), "at+jwt", NOW)

    def revoking(self, *revocations: Revocation) -> Snapshot:
        logged = [LoggedRevocation(number, each) for number, each in enumerate(revocations, 1)]
        book = RevocationBook.empty().advanced(logged, NOW)
        return Snapshot(self.view.authority, self.view.signing_keys, book)

    def with_client(self, **changed: Any) -> Snapshot:
        client = self.view.authority.clients["alpha-one"].model_copy(update=changed)
        change = Change(3, CLIENT, "alpha-one", 2, client.as_document(), "office", NOW, "test")
        return Snapshot(self.view.authority.advanced([change]), self.view.signing_keys)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder: Path = tmp_path_factory.mktemp("keys")
    ca = make_ca("test root", NOW)
    certificate, other = (make_client_certificate(ca, name, NOW) for name in ("one", "two"))
    keys = SigningKeys(folder)
    jwk = keys.create("ES256")
    client = Client(
        client_id="alpha-one",
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id="alpha",
        jwks=make_assertion_key().jwks,
        certificate_thumbprints=frozenset({certificate.thumbprint}),
    )
    document = {"kid": jwk["kid"], "jwk": jwk, "active_from": 0, "retired_at": None}
    changes = [
        Change(1, CLIENT, "alpha-one", 1, client.as_document(), "office", NOW, "test"),
        Change(2, KIND, jwk["kid"], 1, document, "office", NOW, "test"),
    ]
    view = Snapshot(Authority.empty().advanced(changes), SigningKeyBook.empty().advanced(changes))
    key = ECKey.import_key((folder / f"{jwk['kid']}.pem").read_bytes())
    return Scene(certificate, other, keys, key, jwk["kid"], view)


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator(TokenVerifier(ISSUER, AUDIENCE))


def _reason(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        call()
    return reason_name(refused.value.reason)


def test_caller_is_the_client_of_the_token(scene: Scene, authenticator: Authenticator) -> None:
    bearer = f"Bearer {scene.token()}"
    expected = Caller(
        "alpha-one",
        ClientRole.CLIENT_ROLE_OPERATOR,
        "alpha",
        frozenset({READ}),
        NOW + 300,
        principal="alpha-one",
        revocable=frozenset({"token:token-1"}),
    )
    for _ in range(2):
        caller = authenticator.authenticate(scene.certificate.certificate, bearer, scene.view, NOW)
        assert caller == expected


def test_scheme_is_read_in_any_case(scene: Scene, authenticator: Authenticator) -> None:
    bearer = f"bEARER {scene.token()}"
    authenticator.authenticate(scene.certificate.certificate, bearer, scene.view, NOW)


@pytest.mark.parametrize("pem", [None, b""])
def test_call_without_certificate_is_refused(
    scene: Scene, authenticator: Authenticator, pem: bytes | None
) -> None:
    bearer = f"Bearer {scene.token()}"
    reason = _reason(lambda: authenticator.authenticate(pem, bearer, scene.view, NOW))
    assert reason == "NO_CLIENT_CERTIFICATE"


@pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "Bearer", "token"])
def test_call_without_token_is_refused(
    scene: Scene, authenticator: Authenticator, authorization: str | None
) -> None:
    pem = scene.certificate.certificate
    reason = _reason(lambda: authenticator.authenticate(pem, authorization, scene.view, NOW))
    assert reason == "TOKEN_MISSING"


def test_token_on_another_certificate_is_refused_seen_before_or_not(
    scene: Scene, authenticator: Authenticator
) -> None:
    bearer = f"Bearer {scene.token()}"
    for _ in range(2):
        reason = _reason(
            lambda: authenticator.authenticate(scene.other.certificate, bearer, scene.view, NOW)
        )
        assert reason == "TOKEN_NOT_YOURS"
        authenticator.authenticate(scene.certificate.certificate, bearer, scene.view, NOW)


def test_token_ends_on_the_second(scene: Scene, authenticator: Authenticator) -> None:
    pem, bearer = scene.certificate.certificate, f"Bearer {scene.token()}"
    authenticator.authenticate(pem, bearer, scene.view, NOW + 299)
    for _ in range(2):
        reason = _reason(lambda: authenticator.authenticate(pem, bearer, scene.view, NOW + 300))
        assert reason == "TOKEN_EXPIRED"


def test_removed_client_is_refused_though_its_token_was_seen(
    scene: Scene, authenticator: Authenticator
) -> None:
    pem, bearer = scene.certificate.certificate, f"Bearer {scene.token()}"
    authenticator.authenticate(pem, bearer, scene.view, NOW)
    for changed in (
        scene.with_client(removed_at=NOW),
        scene.with_client(certificate_thumbprints=frozenset({scene.other.thumbprint})),
        scene.with_client(jwks=make_assertion_key().jwks),
        Snapshot(Authority.empty(), scene.view.signing_keys),
    ):
        reason = _reason(lambda view=changed: authenticator.authenticate(pem, bearer, view, NOW))
        assert reason == "CLIENT_NOT_ACTIVE"


def test_exchanged_token_ends_with_what_any_ancestor_was_got_by(
    scene: Scene, authenticator: Authenticator
) -> None:
    (key,) = key_thumbprints(jwks := make_assertion_key().jwks)
    sister = Client(
        client_id="alpha-two",
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id="alpha",
        jwks=jwks,
        certificate_thumbprints=frozenset({scene.other.thumbprint}),
    )

    def view(**changed: Any) -> Snapshot:
        document = sister.model_copy(update=changed).as_document()
        change = Change(3, CLIENT, "alpha-two", 1, document, "office", NOW, "test")
        return Snapshot(scene.view.authority.advanced([change]), scene.view.signing_keys)

    pem = scene.certificate.certificate
    for got_by, taken in (
        (key, {"jwks": make_assertion_key().jwks}),
        (
            scene.other.thumbprint,
            {"certificate_thumbprints": frozenset({scene.certificate.thumbprint})},
        ),
        (key, {"removed_at": NOW}),
    ):
        of_sister = scene.ancestor(client_id="alpha-two", client_key=got_by)
        for ancestors in ([of_sister], [of_sister, scene.ancestor(jti="token-00")]):
            bearer = f"Bearer {scene.token(ancestors=ancestors)}"
            authenticator.authenticate(pem, bearer, view(), NOW)
            for gone in (view(**taken), scene.view):
                reason = _reason(
                    lambda bearer=bearer, gone=gone: authenticator.authenticate(
                        pem, bearer, gone, NOW
                    )
                )
                assert reason == "CLIENT_NOT_ACTIVE"


def test_what_a_person_approved_opens_no_more_when_its_definition_does(
    scene: Scene, authenticator: Authenticator
) -> None:
    name, attest, usage = "credit.bundle:use", "credit.conformance:attest", "usage:read"
    granted = ScopeGrant(grant_id="g", grantee="alpha", scope=name, valid_from=NOW)

    def opened(view: Snapshot, **claims: Any) -> set[str]:
        caller = authenticator.authenticate(
            scene.certificate.certificate, f"Bearer {scene.token(**claims)}", view, NOW
        )
        return {
            scope
            for scope in (READ, attest, usage)
            for opening in openings(view.authority, "alpha", scope)
            if opening.fits(caller.token_scopes)
        }

    def defined(*scopes: str) -> Snapshot:
        definition = ScopeDefinition(
            name=name, scopes=frozenset(scopes), title_zh="一组", title_en="A bundle"
        )
        changes = [
            Change(3, SCOPE_DEFINITION, name, 1, definition.as_document(), "office", NOW, "test"),
            Change(4, SCOPE_GRANT, "g", 1, granted.as_document(), "office", NOW, "test"),
        ]
        return Snapshot(scene.view.authority.advanced(changes), scene.view.signing_keys)

    approved = {"scope": name, "grant_id": "grant-1", "opens": f"{attest} {READ}"}
    assert opened(defined(READ, attest), **approved) == {READ, attest}
    assert opened(defined(READ), **approved) == {READ}
    assert opened(defined(READ, attest, usage), **approved) == {READ, attest}
    assert opened(defined(READ, usage), **approved) == {READ}
    assert opened(defined(usage), **approved) == set()
    assert opened(defined(READ, usage), scope=name, grant_id="grant-1") == set()
    both = {**approved, "scope": f"{name} {usage}"}
    assert opened(defined(READ, usage), **both) == {READ, usage}, "approved by its own name"
    assert opened(defined(READ, usage), scope=name) == {READ, usage}, "a machine's own"


def test_removed_key_acts_on_tokens_seen_before(scene: Scene, authenticator: Authenticator) -> None:
    pem, bearer = scene.certificate.certificate, f"Bearer {scene.token()}"
    authenticator.authenticate(pem, bearer, scene.view, NOW)
    keyless = Snapshot(scene.view.authority, SigningKeyBook.empty())
    for _ in range(2):
        reason = _reason(lambda: authenticator.authenticate(pem, bearer, keyless, NOW))
        assert reason == "TOKEN_INVALID"


def test_caller_carries_who_acts_under_which_grant_and_for_what(
    scene: Scene, authenticator: Authenticator
) -> None:
    detail = {"type": "public_credit_data", "items": ["penalty"]}
    token = scene.token(
        sub="administrator:li",
        grant_id="grant-1",
        auth_time=NOW - 60,
        acr="urn:example:strong",
        authorization_details=[detail],
        ancestors=[scene.ancestor()],
    )
    caller = authenticator.authenticate(
        scene.certificate.certificate, f"Bearer {token}", scene.view, NOW
    )
    assert (caller.principal, caller.grant_id) == ("administrator:li", "grant-1")
    assert (caller.auth_time, caller.acr) == (NOW - 60, "urn:example:strong")
    assert [each.as_json() for each in caller.details] == [detail]
    assert caller.revocable == {"token:token-1", "token:token-0", "grant:grant-1"}


@pytest.mark.parametrize(
    "revocation",
    [
        Revocation.of_token("token-1", NOW + 300),
        Revocation.of_token("token-0", NOW + 300),
        Revocation.of_grant("grant-1", NOW),
    ],
    ids=["token", "token it was exchanged from", "grant"],
)
def test_revoked_token_is_refused_though_it_was_seen(
    scene: Scene, authenticator: Authenticator, revocation: Revocation
) -> None:
    pem = scene.certificate.certificate
    token = scene.token(grant_id="grant-1", ancestors=[scene.ancestor()])
    authenticator.authenticate(pem, f"Bearer {token}", scene.view, NOW)
    view = scene.revoking(revocation)
    for _ in range(2):
        reason = _reason(lambda: authenticator.authenticate(pem, f"Bearer {token}", view, NOW))
        assert reason == "TOKEN_REVOKED"


def test_revocation_of_one_token_leaves_all_others(
    scene: Scene, authenticator: Authenticator
) -> None:
    pem, bearer = scene.certificate.certificate, f"Bearer {scene.token()}"
    view = scene.revoking(
        Revocation.of_token("token-2", NOW + 300),
        # Not the same thing, though it has the same name.
        Revocation.of_grant("token-1", NOW),
    )
    authenticator.authenticate(pem, bearer, view, NOW)


def test_token_bound_to_a_key_is_refused_on_a_certificate_of_that_thumbprint(
    scene: Scene, authenticator: Authenticator
) -> None:
    token = scene.token(cnf={"jkt": scene.certificate.thumbprint})
    pem = scene.certificate.certificate
    reason = _reason(lambda: authenticator.authenticate(pem, f"Bearer {token}", scene.view, NOW))
    assert reason == "TOKEN_NOT_YOURS"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other.test"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": "https://other.test"},
        {"aud": [AUDIENCE, "https://other.test"]},
        {"aud": None},
        {"client_id": None},
        {"sub": None},
        {"jti": None},
        {"scope": None},
        {"exp": None},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"iat": None},
        {"iat": NOW + 3_600, "exp": NOW + 3_900},
        {"cnf": None},
        {"cnf": {}},
        {"cnf": {"x5t#S256": ""}},
        {"cnf": {"jkt": "x"}},
        {"cnf": {"x5t#S256": "A" * 43, "jkt": "A" * 43}},
        {"authorization_details": []},
        {"authorization_details": [{"type": "payment"}]},
        {"authorization_details": [{"type": "public_credit_data", "weekday": 1}]},
        {"client_key": None},
        {"client_key": "x"},
        {"grant_id": ""},
        {"auth_time": "yesterday"},
        {"acr": 2},
        {"ancestors": ["token-0"]},
        {"ancestors": [{"jti": "token-0"}]},
        {"ancestors": [{"jti": "t", "client_id": "alpha-one", "client_key": "A" * 43}] * 5},
        {"opens": ["credit.records:read"]},
    ],
)
def test_token_with_wrong_claims_is_refused(
    scene: Scene, authenticator: Authenticator, changed: dict[str, Any]
) -> None:
    pem, bearer = scene.certificate.certificate, f"Bearer {scene.token(**changed)}"
    reason = _reason(lambda: authenticator.authenticate(pem, bearer, scene.view, NOW))
    assert reason == "TOKEN_INVALID"


def _forgeries(scene: Scene) -> dict[str, str]:
    claims, kid = scene.claims(), scene.kid
    stranger = ECKey.generate_key("P-256")
    secret = OctKey.generate_key(256)
    good = {"alg": "ES256", "typ": "at+jwt", "kid": kid}
    return {
        "other type": signed(claims, scene.key, **{**good, "typ": "JWT"}),
        "no type": signed(claims, scene.key, alg="ES256", kid=kid),
        "type is no text": signed(claims, scene.key, **{**good, "typ": 1}),
        "no kid": signed(claims, scene.key, alg="ES256", typ="at+jwt"),
        "kid is no text": signed(claims, scene.key, **{**good, "kid": [kid]}),
        "unknown kid": signed(claims, scene.key, **{**good, "kid": "../" + kid}),
        "another key": signed(claims, stranger, **good),
        "key in header": signed(claims, stranger, **good, jwk=stranger.as_dict(private=False)),
        "none": signed(claims, secret, **{**good, "alg": "none"}),
        "hmac": signed(claims, secret, **{**good, "alg": "HS256"}),
        "critical unknown": signed(claims, scene.key, **good, crit=["x"], x=1),
        "nested": good_header(scene) + "." + "W1tb" * 900 + ".AA",
        "too long": scene.token(jti="x" * 400, scope=" ".join(["a:b"] * 500)) + "A" * 4_096,
        "empty": "",
        "no JWT": "x.y.z",
        "not ASCII": "é" * 20,
    }


def good_header(scene: Scene) -> str:
    return scene.token().partition(".")[0]


def test_forged_token_is_refused(scene: Scene, authenticator: Authenticator) -> None:
    pem = scene.certificate.certificate
    for name, token in _forgeries(scene).items():
        reason = _reason(
            lambda token=token: authenticator.authenticate(pem, f"Bearer {token}", scene.view, NOW)
        )
        assert reason == "TOKEN_INVALID", name


def test_long_form_of_the_type_is_accepted(scene: Scene, authenticator: Authenticator) -> None:
    token = signed(scene.claims(), scene.key, alg="ES256", typ="application/AT+JWT", kid=scene.kid)
    pem = scene.certificate.certificate
    authenticator.authenticate(pem, f"Bearer {token}", scene.view, NOW)


@given(data=st.data())
def test_any_bit_flipped_in_a_token_is_refused(scene: Scene, data: st.DataObject) -> None:
    token = scene.token()
    verifier = TokenVerifier(ISSUER, AUDIENCE)
    shown = scene.shown
    verifier.verify(token, shown, NOW, scene.view)
    place = data.draw(st.integers(0, len(token) - 1))
    flipped = chr(ord(token[place]) ^ 1 << data.draw(st.integers(0, 7)))
    damaged = token[:place] + flipped + token[place + 1 :]
    reason = _reason(lambda: verifier.verify(damaged, shown, NOW, scene.view))
    assert reason == "TOKEN_INVALID"


def test_every_bit_of_the_last_character_counts(scene: Scene) -> None:
    # The last character of a 64-byte signature carries two bits of it and four of padding.
    token = scene.token()
    verifier = TokenVerifier(ISSUER, AUDIENCE)
    for bit in range(8):
        damaged = token[:-1] + chr(ord(token[-1]) ^ 1 << bit)
        reason = _reason(
            lambda damaged=damaged: verifier.verify(damaged, scene.shown, NOW, scene.view)
        )
        assert reason == "TOKEN_INVALID"


def test_memory_of_verified_tokens_is_bounded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.authenticate.token._MOST_REMEMBERED", 2)
    verifier = TokenVerifier(ISSUER, AUDIENCE)
    tokens = [scene.token(jti=f"token-{number}") for number in range(4)]
    for token in tokens:
        verifier.verify(token, scene.shown, NOW, scene.view)
    assert list(verifier._remembered) == tokens[2:]  # pyright: ignore[reportPrivateUsage]
