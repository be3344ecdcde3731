"""Entity statements: what one entity signs about another, or about itself. Pure.

Source: OpenID Federation 1.0, sections 3.1 (claims), 3.2 (validation) and 17.1 (types). Each
rule stands above the line that keeps it.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from joserfc import jws
from joserfc.jwk import JWKRegistry, OctKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gateway.oauth.jose import MALFORMED, ProfileRegistry, verified_claims
from operators.jwks import public_key_fault

STATEMENT_TYPE: Final = "entity-statement+jwt"
STATEMENT_MEDIA_TYPE: Final = "application/entity-statement+jwt"
CONFIGURATION_PATH: Final = "/.well-known/openid-federation"
"""Path below the entity identifier where its entity configuration is (section 9)."""

REGION_METADATA: Final = "public_credit_region"
"""Metadata type of regions; see `operators.regions.RegionDescription`."""

MOST_CHARACTERS: Final = 262_144
SKEW_SECONDS: Final = 60
"""How far another's clock may run ahead of ours."""

_MOST_KEYS: Final = 8

EntityIdText = Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,248}$")]
JwkSet = Mapping[str, Sequence[Mapping[str, Any]]]


class StatementInvalid(ValueError):
    """A statement, chain or piece of news must not be believed; the message tells why, and
    repeats nothing of it."""


class UnknownSigner(StatementInvalid):
    """It is signed with a key that its issuer is not known by."""


class EntityStatement(BaseModel):
    """Claims of an entity statement (section 3.1), those that mean something here.

    ``iat`` and ``exp`` in seconds, UTC. ``revision`` and ``tls_roots`` are the national
    anchor's own: the number of what it states of a region, and the CAs (PEM) of that region's
    servers, by which its configuration is fetched.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    iss: EntityIdText
    sub: EntityIdText
    iat: int
    exp: int
    jwks: dict[str, Any]
    authority_hints: Annotated[list[EntityIdText], Field(max_length=8)] | None = None
    metadata: dict[str, dict[str, Any]] = Field(default_factory=dict)
    metadata_policy: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    metadata_policy_crit: list[str] | None = None
    constraints: dict[str, Any] | None = None
    crit: list[str] | None = None
    revision: Annotated[int, Field(ge=0, lt=1 << 53)] = 0
    tls_roots: Annotated[str, StringConstraints(max_length=65_536)] = ""

    @property
    def is_configuration(self) -> bool:
        """Whether an entity says it of itself (entity configuration)."""
        return self.iss == self.sub


def configuration_url(entity_id: str) -> str:
    """Return where an entity's configuration is: appended to its identifier (section 9)."""
    return entity_id.rstrip("/") + CONFIGURATION_PATH


def verified_statement(token: str, keys: JwkSet, now: int) -> EntityStatement:
    """Return what ``token`` states when one of ``keys`` signed it and it holds at ``now``.

    Raises StatementInvalid.
    """
    statement = _read(checked_claims(token, keys, STATEMENT_TYPE))
    # "The current time MUST be before the time of exp"; iat must lie in the past.
    if statement.exp <= now:
        raise StatementInvalid("the statement has expired")
    if statement.iat > now + SKEW_SECONDS:
        raise StatementInvalid("the statement was issued in the future")
    # "If the crit claim is present, all claims it names MUST be understood": none is here.
    if statement.crit:
        raise StatementInvalid("the statement has a critical claim that is not understood here")
    # "authority_hints MUST NOT be present in Subordinate Statements", nor metadata_policy,
    # constraints in configurations.
    if statement.is_configuration and (statement.metadata_policy or statement.constraints):
        raise StatementInvalid("an entity configuration must not have policies or constraints")
    if not statement.is_configuration and statement.authority_hints is not None:
        raise StatementInvalid("a subordinate statement must not have authority_hints")
    require_federation_keys(statement.jwks)
    return statement


def self_signed(token: str, now: int) -> EntityStatement:
    """Return what an entity configuration states, signed by a key that it names itself.

    It proves that its signer holds those keys, and no more. Raises StatementInvalid.
    """
    try:
        claims = jws.extract_compact(_bytes(token)).payload
        named = EntityStatement.model_validate_json(claims)
    except (*MALFORMED, ValidationError) as error:
        raise StatementInvalid("the statement is no entity statement") from error
    require_federation_keys(named.jwks)
    statement = verified_statement(token, named.jwks, now)
    if not statement.is_configuration:
        raise StatementInvalid("the statement is not about its issuer")
    return statement


def require_federation_keys(jwks: Mapping[str, Any]) -> None:
    """Check a set of keys that sign statements: 1 to 8 public ones, each with a kid of its own.

    Section 3.1.1: each JWK MUST have a kid, unique in the set. Raises StatementInvalid.
    """
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_KEYS:
        raise StatementInvalid(f"jwks must have 1 to {_MOST_KEYS} keys")
    kids: set[str] = set()
    for key in keys:
        if not isinstance(key, dict) or public_key_fault(key) is not None:
            raise StatementInvalid("jwks must have public keys for ES256, PS256 or EdDSA only")
        kid = key.get("kid")
        if not kid or kid in kids:
            raise StatementInvalid("each key of jwks needs a kid of its own")
        kids.add(kid)


def checked_claims(token: str, keys: JwkSet, typ: str) -> dict[str, Any]:
    """Return the claims of a JWT of type ``typ`` that the one of ``keys`` signed which its
    header names by kid. Raises StatementInvalid."""
    try:
        header = jws.extract_compact(_bytes(token)).headers()
        # "Entity Statements without a typ header parameter, or with another value, MUST be
        # rejected"; "the kid MUST be present and match exactly one key".
        if header.get("typ") != typ:
            raise StatementInvalid("it is of another type")
        fitting = [jwk for jwk in keys.get("keys", ()) if jwk.get("kid") == header.get("kid")]
        if not header.get("kid") or len(fitting) != 1:
            raise UnknownSigner("it is signed with a key that its issuer is not known by")
        key = JWKRegistry.import_key(dict(fitting[0]))
        if isinstance(key, OctKey):
            raise StatementInvalid("it is signed with a key that its issuer is not known by")
        return verified_claims(token, key, header.get("alg", ""), ProfileRegistry())
    except StatementInvalid:
        raise
    except MALFORMED as error:
        raise StatementInvalid("its form or signature is not right") from error


def _read(claims: Mapping[str, Any]) -> EntityStatement:
    try:
        return EntityStatement.model_validate(claims)
    except ValidationError as error:
        raise StatementInvalid("its claims are not right") from error


def _bytes(token: str) -> bytes:
    if len(token) > MOST_CHARACTERS:
        raise StatementInvalid("it is too long")
    return token.encode("ascii")
