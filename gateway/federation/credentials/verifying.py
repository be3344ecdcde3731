"""Verifying the licence credentials of other regions' operators."""

import hmac
import json
from collections import OrderedDict
from threading import Lock
from typing import Final, NamedTuple, Protocol

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.federation.credentials.credential import (
    CredentialClaims,
    read_credential,
    require_in_force,
)
from gateway.federation.credentials.status_list import LicenceStatus, StatusList
from gateway.federation.home.licence import Licence
from gateway.federation.trust.book import Region
from gateway.federation.trust.statement import StatementInvalid
from operators.authorization_details import PURPOSE_NAMES
from operators.jwks import key_thumbprints

_MOST_REMEMBERED: Final = 4_096
_PURPOSES: Final = frozenset(PURPOSE_NAMES.values())


class Statuses(Protocol):
    """The status lists of other regions."""

    def current(self, entity_id: str) -> StatusList:
        """Return what a region said last. Raises Refused FEDERATION_UNKNOWN past the lease."""
        ...


class _Read(NamedTuple):
    keys: str
    claims: CredentialClaims


class ShownLicences:
    """`gateway.federation.home.licence.Licences`; any thread, and nothing is waited for.

    Verifying a signature costs about 140 µs, so what was read is remembered, for as long as
    the region has the same keys; time, holder and status are looked at each time.
    """

    def __init__(self, statuses: Statuses, clock: Clock) -> None:
        self._statuses = statuses
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str], _Read] = OrderedDict()
        self._lock = Lock()

    def shown(self, credential: str, region: Region) -> Licence:
        """Return the licence of a credential that ``region`` gave and presents.

        Raises Refused LICENCE_CREDENTIAL_INVALID, FEDERATION_UNKNOWN where its status is not
        known.
        """
        try:
            claims = self._read(credential, region)
            require_in_force(claims, self._clock.now())
            _require_holder(claims, region)
            status = self._statuses.current(region.entity_id).status(claims.status.status_list.idx)
            _require_valid(status)
        except StatementInvalid as error:
            raise Refused(
                RefusalReason.REFUSAL_REASON_LICENCE_CREDENTIAL_INVALID,
                f"The licence credential is not valid: {error}.",
            ) from error
        licence = claims.licence
        return Licence(
            region=claims.iss,
            operator_id=claims.sub,
            number=licence.number,
            items=frozenset(licence.items),
            # A purpose that this release does not know allows nothing here.
            purposes=frozenset(licence.purposes) & _PURPOSES,
            regions=frozenset(licence.regions),
            start=licence.valid_from,
            until=min(licence.valid_until, claims.exp),
        )

    def stands(self, credential: str, region: Region) -> bool:
        """Tell whether `shown` would return it now."""
        try:
            self.shown(credential, region)
        except Refused:
            return False
        return True

    def _read(self, credential: str, region: Region) -> CredentialClaims:
        key = (region.entity_id, credential)
        with self._lock:
            read = self._remembered.get(key)
            if read is not None and read.keys == region.document_keys:
                self._remembered.move_to_end(key)
                return read.claims
        keys = json.loads(region.document_keys)
        claims = read_credential(credential, region.entity_id, keys)
        with self._lock:
            self._remembered[key] = _Read(region.document_keys, claims)
            if len(self._remembered) > _MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        return claims


def _require_holder(claims: CredentialClaims, region: Region) -> None:
    # Who presents it authenticated by one of these keys.
    if not any(
        hmac.compare_digest(claims.cnf.jkt, thumbprint)
        for thumbprint in key_thumbprints(region.jwks)
    ):
        raise StatementInvalid("it is bound to another holder than the region that presents it")


def _require_valid(status: LicenceStatus) -> None:
    if status == LicenceStatus.SUSPENDED:
        raise StatementInvalid("its licence is suspended")
    if status != LicenceStatus.VALID:
        raise StatementInvalid("its licence was revoked")
