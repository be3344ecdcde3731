"""A licence credential: what it claims, and how it is read. Pure.

A JWT of type ``public-credit-licence+jwt``; names of claims are those of SD-JWT VC (draft-ietf-
oauth-sd-jwt-vc) where it has some, though nothing in it can be left out selectively: a licence
that hides a part of itself would narrow nothing. ``status`` is that of draft-ietf-oauth-status-
list, section 6.2.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gateway.federation.trust.statement import (
    SKEW_SECONDS,
    EntityIdText,
    JwkSet,
    StatementInvalid,
    checked_claims,
)
from operators.authorization_details import PURPOSE_NAMES
from operators.model import Licence, Operator
from operators.shapes import END_OF_TIME

CREDENTIAL_TYPE: Final = "public-credit-licence+jwt"
VCT: Final = "urn:creditgate:vct:public-credit-licence"
"""Type of the credential (``vct``)."""

STATUS_PATH: Final = "/federation/licences/status"
"""Path of the status list below the licensing region's entity identifier."""

MOST_CHARACTERS: Final = 16_384
"""Longest credential (QueryRecordsRequest.licence_credential)."""

_Text = Annotated[str, StringConstraints(min_length=1, max_length=128)]
_Thumbprint = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{43}$")]
_Instant = Annotated[int, Field(ge=0, le=END_OF_TIME)]
_Item = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9.-]{0,63}$")]
_Region = Annotated[str, StringConstraints(pattern=r"^(\*|[0-9]{2}|[0-9]{4}|[0-9]{6})$")]
_PurposeName = Annotated[str, StringConstraints(pattern="^[A-Z_]{1,64}$")]
_Listed = Field(min_length=1, max_length=1_000)


class _Part(BaseModel):
    # A member that is not known could narrow the licence: it must not be passed over.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Holder(_Part):
    """Who may present it (RFC 7800): who has the key of that thumbprint (RFC 7638)."""

    jkt: _Thumbprint


class StatusReference(_Part):
    """Where its status stands: at ``idx`` of the list at ``uri``."""

    idx: Annotated[int, Field(ge=0, lt=1 << 20)]
    uri: Annotated[str, StringConstraints(max_length=512)]


class Status(_Part):
    """The claim ``status``."""

    status_list: StatusReference


class LicenceClaim(_Part):
    """The licence: names and codes are those of the region that gave it; purposes are named as
    authorization details name them; it holds in [valid_from, valid_until), seconds UTC."""

    number: _Text
    items: Annotated[list[_Item], _Listed]
    purposes: Annotated[list[_PurposeName], _Listed]
    regions: Annotated[list[_Region], _Listed]
    valid_from: _Instant
    valid_until: _Instant


class CredentialClaims(_Part):
    """All it claims. ``sub`` is the operator's id in the region ``iss``, ``uscc`` the firm's own
    unified social credit code."""

    iss: EntityIdText
    sub: _Text
    vct: _Text
    iat: _Instant
    exp: _Instant
    cnf: Holder
    status: Status
    uscc: _Text
    licence: LicenceClaim


def credential_claims(
    region: str,
    operator: Operator,
    licence: Licence,
    *,
    index: int,
    holder: str,
    now: int,
    until: int,
) -> dict[str, Any]:
    """Return the claims of a credential that ``region`` gives for ``licence``.

    ``index`` is that of its status, ``holder`` the thumbprint (RFC 7638) of the key of who is to
    present it. It lives in [now, until), seconds UTC.
    """
    return CredentialClaims(
        iss=region,
        sub=operator.operator_id,
        vct=VCT,
        iat=now,
        exp=until,
        cnf=Holder(jkt=holder),
        status=Status(status_list=StatusReference(idx=index, uri=status_uri(region))),
        uscc=operator.uscc,
        licence=LicenceClaim(
            number=licence.number,
            items=sorted(licence.items),
            purposes=sorted(PURPOSE_NAMES[purpose] for purpose in licence.purposes),
            regions=sorted(licence.regions),
            valid_from=licence.valid_from,
            valid_until=licence.valid_until,
        ),
    ).model_dump(mode="json")


def status_uri(region: str) -> str:
    """Return the URL of a region's status list."""
    return region.rstrip("/") + STATUS_PATH


def read_credential(text: str, region: str, keys: JwkSet) -> CredentialClaims:
    """Return what a credential claims that ``region`` gave, signed by one of ``keys``.

    Whether it is over, and how its status stands, is not looked at. Keys that were retired (a
    member ``exp``) sign nothing any more. Raises StatementInvalid.
    """
    if len(text) > MOST_CHARACTERS:
        raise StatementInvalid("it is too long")
    standing: Mapping[str, Any] = {"keys": [key for key in keys["keys"] if "exp" not in key]}
    try:
        claims = CredentialClaims.model_validate(checked_claims(text, standing, CREDENTIAL_TYPE))
    except ValidationError as error:
        raise StatementInvalid("its claims are not right") from error
    if claims.iss != region or claims.vct != VCT:
        raise StatementInvalid("it is of another region, or of another type")
    if claims.status.status_list.uri != status_uri(region):
        raise StatementInvalid("its status is not told by the region that gave it")
    return claims


def require_in_force(claims: CredentialClaims, now: int) -> None:
    """Check that a credential and its licence hold at ``now``. Raises StatementInvalid."""
    if claims.iat > now + SKEW_SECONDS:
        raise StatementInvalid("it was issued in the future")
    if claims.exp <= now:
        raise StatementInvalid("it has expired")
    licence = claims.licence
    if not licence.valid_from <= now < licence.valid_until:
        raise StatementInvalid("its licence is not in force")
