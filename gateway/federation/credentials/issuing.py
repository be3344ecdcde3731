"""Issuing licence credentials, and the status list that goes with them."""

from collections.abc import Callable
from typing import Final, NamedTuple

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.federation.credentials.credential import (
    CREDENTIAL_TYPE,
    MOST_CHARACTERS,
    credential_claims,
)
from gateway.federation.credentials.status_list import (
    STATUS_LIST_TYPE,
    indexes_of,
    status_list_claims,
    statuses_of,
)
from gateway.oauth.signing import SigningKeys
from operators.authority import Authority
from operators.model import Licence, Operator

LIFE_SECONDS: Final = 3_600
"""Longest life of a credential: it is made anew in time, and its status tells sooner."""

_LIST_SECONDS: Final = 300
_MOST_KEPT: Final = 4_096


class Issued(NamedTuple):
    """A credential, and when it expires (seconds, UTC)."""

    text: str
    expires_at: int


class _Kept(NamedTuple):
    view: AuthorityView
    issued_at: int
    issued: Issued


class LicenceCredentials:
    """Gives the credentials of this region's operators; one event loop's own.

    ``region`` is this region's entity identifier, ``holder`` the thumbprint (RFC 7638) of the
    key it authenticates by in other regions: what it presents for operators is bound to that.
    """

    def __init__(
        self,
        region: str,
        holder: str,
        view: Callable[[], AuthorityView],
        keys: SigningKeys,
        clock: Clock,
    ) -> None:
        self._region = region
        self._holder = holder
        self._view = view
        self._keys = keys
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._indexes: tuple[Authority | None, dict[str, int]] = (None, {})
        self._list: tuple[int, int, str] = (-1, 0, "")

    def of(self, operator_id: str, licence: str) -> str:
        """Return a credential of a licence, for this region to present.

        Raises Refused LICENCE_CREDENTIAL_INVALID where the operator has no such licence that is
        in force, or it is too large to be presented; AUTHORITY_UNKNOWN,
        TEMPORARILY_UNAVAILABLE where no signing key is at hand.
        """
        return self.issued(operator_id, licence, self._holder).text

    def issued(self, operator_id: str, number: str, holder: str) -> Issued:
        """Return a credential that who has the key ``holder`` may present; raises as `of`."""
        view, now = self._view(), self._clock.now()
        kept = self._kept.get((number, holder))
        # Any change of authority makes it anew: it may be one of this licence or of the keys.
        if (
            kept is not None
            and kept.view.decides_as(view)
            and kept.issued_at <= now < (kept.issued_at + kept.issued.expires_at) // 2
        ):
            _require(view.authority, operator_id, number, now)
            return kept.issued
        operator, licence = _require(view.authority, operator_id, number, now)
        until = min(now + LIFE_SECONDS, licence.valid_until)
        claims = credential_claims(
            self._region,
            operator,
            licence,
            index=self._index(view.authority, number),
            holder=holder,
            now=now,
            until=until,
        )
        text = self._keys.sign(view.signing_keys, claims, CREDENTIAL_TYPE, now)
        if len(text) > MOST_CHARACTERS:
            raise _invalid("The licence names too much to be presented elsewhere; narrow it.")
        issued = Issued(text, until)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[number, holder] = _Kept(view, now, issued)
        return issued

    def number(self) -> int:
        """Return the number of the status list of the moment. Raises Refused
        AUTHORITY_UNKNOWN."""
        return self._view().number

    def status_list(self) -> str:
        """Return the status list, signed this second. Raises Refused as `number`."""
        view, now = self._view(), self._clock.now()
        if self._list[:2] != (view.number, now):
            claims = status_list_claims(
                self._region, statuses_of(view.authority), view.number, now, _LIST_SECONDS
            )
            signed = self._keys.sign(view.signing_keys, claims, STATUS_LIST_TYPE, now)
            self._list = (view.number, now, signed)
        return self._list[2]

    def _index(self, authority: Authority, number: str) -> int:
        if self._indexes[0] is not authority:
            self._indexes = (authority, indexes_of(authority))
        return self._indexes[1][number]


def _require(
    authority: Authority, operator_id: str, number: str, now: int
) -> tuple[Operator, Licence]:
    operator, licence = authority.operators.get(operator_id), authority.licences.get(number)
    if (
        operator is None
        or licence is None
        or licence.operator_id != operator_id
        or operator.state != OperatorState.OPERATOR_STATE_ACTIVE
        or not licence.in_force(now)
    ):
        raise _invalid("The operator holds no licence of this number that is in force.")
    return operator, licence


def _invalid(message: str) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_LICENCE_CREDENTIAL_INVALID, message)
