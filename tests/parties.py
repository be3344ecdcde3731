"""Clients of every kind the FAPI 2.0 Security Profile allows, enrolled in an installation."""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.pki.development import Issued, make_client_certificate
from operators.model import CLIENT, SCOPE_GRANT, Client, ClientAuthentication, GrantType, ScopeGrant
from operators.model import TokenBinding as Binding
from operators.roles import scopes_of_role
from tests.installation import OPERATOR_ID, Gateway, Installation

Algorithm = Literal["ES256", "PS256", "EdDSA"]
Key = ECKey | OKPKey | RSAKey

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REDIRECT: Final = "http://127.0.0.1:1/callback"
MACHINE: Final[tuple[GrantType, ...]] = ("client_credentials",)
WITH_CODE: Final[tuple[GrantType, ...]] = ("authorization_code", "refresh_token")


def new_key(algorithm: Algorithm) -> Key:
    """Return a private key for ``algorithm``."""
    if algorithm == "ES256":
        return ECKey.generate_key("P-256")
    if algorithm == "PS256":
        return RSAKey.generate_key(2048)
    return OKPKey.generate_key("Ed25519")


def encoded(content: bytes) -> str:
    """Return ``content`` in base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def jws(header: dict[str, Any], claims: Any, key: Key) -> str:
    """Return a signed JWT under any header, by hand: joserfc makes none that the RFCs forbid."""
    parts = [encoded(json.dumps(part).encode()) for part in (header, claims)]
    body = ".".join(parts)
    signature = JWSRegistry.algorithms[header["alg"]].sign(body.encode(), key)
    return f"{body}.{encoded(signature)}"


@dataclass(frozen=True)
class Party:
    """A client with its private keys and the certificate its connections show.

    That is its own or, when it is not registered, that of a proxy before the gateway.
    """

    record: Client
    algorithm: Algorithm
    key: Key
    certificate: Issued
    folder: Path

    @property
    def client_id(self) -> str:
        """Its client_id."""
        return self.record.client_id

    def assertion(self, audience: str, now: int, **changed: Any) -> str:
        """Return a client assertion (RFC 7523); ``changed`` replaces claims, None removes."""
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(12),
            "iat": now,
            "exp": now + 60,
            **changed,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return jws({"alg": self.algorithm, "kid": self.key.thumbprint()}, kept, self.key)

    def authentication(self, audience: str, now: int) -> dict[str, str]:
        """Return the form parameters the party authenticates by."""
        if self.record.authentication == "tls_client_auth":
            return {"client_id": self.client_id}
        return {
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(audience, now),
        }

    def document(self, gateway: Gateway, **more: Any) -> dict[str, Any]:
        """Return what a client outside this project is told of the party and the gateway."""
        return {
            "client_id": self.client_id,
            "authentication": self.record.authentication,
            "binding": self.record.binding,
            "algorithm": self.algorithm,
            "key_id": self.key.thumbprint(),
            "signing_key": str(self.folder / "signing.pem"),
            "certificate": str(self.folder / "certificate.pem"),
            "key": str(self.folder / "key.pem"),
            "ca": str(gateway.running.ca),
            "issuer": gateway.running.issuer,
            "grpc": gateway.running.grpc,
            "redirect_uri": REDIRECT,
            "signed_requests": self.record.signed_requests,
            **more,
        }


def enrolled(
    installation: Installation,
    client_id: str,
    *,
    algorithm: Algorithm = "ES256",
    authentication: ClientAuthentication = "private_key_jwt",
    binding: Binding = "mtls",
    grant_types: Iterable[GrantType] = MACHINE,
    behind_proxy: bool = False,
    signed_requests: bool = False,
    redirect_uris: Iterable[str] | None = None,
    operator_id: str = OPERATOR_ID,
) -> Party:
    """Register a client of an operator and return it with its keys.

    ``behind_proxy`` leaves it without a certificate of its own: its connections show the
    one of a proxy that ends TLS.
    """
    now = installation.clock.now()
    folder = installation.folder / "parties" / client_id
    folder.mkdir(parents=True)
    key = new_key(algorithm)
    (folder / "signing.pem").write_bytes(key.as_pem(private=True))
    holder = "proxy" if behind_proxy else client_id
    certificate = make_client_certificate(installation.home.development_ca(), holder, now)
    certificate.write(folder / "certificate.pem", folder / "key.pem")
    public = key.as_dict(private=False, kid=key.thumbprint(), alg=algorithm, use="sig")
    grants = frozenset(grant_types)
    if redirect_uris is None:
        redirect_uris = {REDIRECT} if "authorization_code" in grants else ()
    record = Client(
        client_id=client_id,
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id=operator_id,
        jwks=json.dumps({"keys": [public]}),
        authentication=authentication,
        binding=binding,
        certificate_thumbprints=frozenset(() if behind_proxy else {certificate.thumbprint}),
        grant_types=grants,
        redirect_uris=frozenset(redirect_uris),
        signed_requests=signed_requests,
    )
    installation.keep(CLIENT, client_id, record)
    return Party(record, algorithm, key, certificate, folder)


def grant_all(installation: Installation, operator_id: str) -> None:
    """Grant an operator every scope operators may hold."""
    now = installation.clock.now()
    for number, scope in enumerate(sorted(scopes_of_role(ClientRole.CLIENT_ROLE_OPERATOR))):
        grant_id = f"{operator_id}-all-{number}"
        grant = ScopeGrant(grant_id=grant_id, grantee=operator_id, scope=scope, valid_from=now - 1)
        installation.keep(SCOPE_GRANT, grant_id, grant)


def claims_in(token: str) -> dict[str, Any]:
    """Return what a JWT claims, unverified."""
    return _decoded(token.split(".")[1])


def header_in(token: str) -> dict[str, Any]:
    """Return the header of a JWT, unverified."""
    return _decoded(token.split(".", maxsplit=1)[0])


def _decoded(segment: str) -> dict[str, Any]:
    return json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
