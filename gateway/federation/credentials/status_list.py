"""Status lists: two bits for each licence of a region, signed (draft-ietf-oauth-status-list). Pure.

The list has the licences in the order in which they came into the authority log, which no
later change alters, so that an index never comes to mean another licence.
"""

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.federation.credentials.credential import status_uri
from gateway.federation.trust.news import SKEW_SECONDS
from gateway.federation.trust.statement import JwkSet, StatementInvalid, checked_claims
from operators.authority import Authority

STATUS_LIST_TYPE: Final = "statuslist+jwt"
STATUS_LIST_MEDIA_TYPE: Final = "application/statuslist+jwt"
_BITS: Final = 2
_EACH_BYTE: Final = 8 // _BITS
_MASK: Final = (1 << _BITS) - 1
_MOST_BYTES: Final = (1 << 20) // _EACH_BYTE


class LicenceStatus(IntEnum):
    """The status types of section 7.1; what is none of these stands for invalid."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


class StatusList(NamedTuple):
    """What a region said of its licences at ``issued_at`` (seconds, UTC); ``number`` grows with
    each change of its authority, and when its store is put back from a copy."""

    number: int
    issued_at: int
    statuses: bytes

    def status(self, index: int) -> LicenceStatus:
        """Return the status at ``index``; INVALID for one that the list does not have."""
        place = index // _EACH_BYTE
        if not 0 <= place < len(self.statuses):
            return LicenceStatus.INVALID
        # Section 4.1: the first status stands in the least significant bits of a byte.
        bits = self.statuses[place] >> (index % _EACH_BYTE * _BITS) & _MASK
        return LicenceStatus(bits) if bits < len(LicenceStatus) else LicenceStatus.INVALID


class _List(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    bits: int
    lst: Annotated[str, StringConstraints(max_length=1 << 19)]


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    sub: str
    iat: int
    exp: int
    number: Annotated[int, Field(ge=0, lt=1 << 53)]
    status_list: _List


def statuses_of(authority: Authority) -> list[LicenceStatus]:
    """Return the status of every licence, by index."""
    return [
        LicenceStatus.INVALID
        if licence.revoked_at is not None
        else _of_operator(authority, licence.operator_id)
        for licence in authority.licences.values()
    ]


def indexes_of(authority: Authority) -> dict[str, int]:
    """Return the index of every licence, by number."""
    return {number: index for index, number in enumerate(authority.licences)}


def _of_operator(authority: Authority, operator_id: str) -> LicenceStatus:
    operator = authority.operators.get(operator_id)
    if operator is None or operator.state == OperatorState.OPERATOR_STATE_REVOKED:
        return LicenceStatus.INVALID
    if operator.state != OperatorState.OPERATOR_STATE_ACTIVE:
        return LicenceStatus.SUSPENDED
    return LicenceStatus.VALID


def status_list_claims(
    region: str, statuses: Sequence[LicenceStatus], number: int, now: int, seconds: int
) -> dict[str, Any]:
    """Return the claims of a status list token (section 5.1), good for ``seconds``."""
    packed = bytearray((len(statuses) + _EACH_BYTE - 1) // _EACH_BYTE)
    for index, status in enumerate(statuses):
        packed[index // _EACH_BYTE] |= status << (index % _EACH_BYTE * _BITS)
    lst = urlsafe_b64encode(zlib.compress(bytes(packed), 9)).rstrip(b"=").decode()
    return {
        "iss": region,
        "sub": status_uri(region),
        "iat": now,
        "exp": now + seconds,
        "ttl": seconds,
        "number": number,
        "status_list": {"bits": _BITS, "lst": lst},
    }


def read_status_list(text: str, region: str, keys: JwkSet, now: int) -> StatusList:
    """Return the status list that ``region`` signed with one of ``keys``.

    Raises StatementInvalid for what is none, is over, or would unpack to more than a list has.
    """
    standing = {"keys": [key for key in keys["keys"] if "exp" not in key]}
    try:
        claims = _Claims.model_validate(checked_claims(text, standing, STATUS_LIST_TYPE))
    except ValidationError as error:
        raise StatementInvalid("its claims are not right") from error
    # Section 8.3: the sub claim MUST be equal to the uri of the referenced token.
    if claims.sub != status_uri(region):
        raise StatementInvalid("it is the list of another region")
    if claims.iat > now + SKEW_SECONDS or claims.exp <= now:
        raise StatementInvalid("it has expired, or was issued in the future")
    if claims.status_list.bits != _BITS:
        raise StatementInvalid(f"it has not {_BITS} bits for each status")
    return StatusList(claims.number, claims.iat, _unpacked(claims.status_list.lst))


def _unpacked(lst: str) -> bytes:
    try:
        packed = urlsafe_b64decode(lst + "=" * (-len(lst) % 4))
        unpacking = zlib.decompressobj()
        statuses = unpacking.decompress(packed, _MOST_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise StatementInvalid("its list cannot be unpacked") from error
    if not unpacking.eof:
        raise StatementInvalid("its list is too long, or cut off")
    return statuses
