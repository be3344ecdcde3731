"""How a question to a region may end, short of an answer. Pure."""

from collections.abc import Mapping
from typing import Final

import grpc

from creditgate.v1.federated_record_service_pb2 import RegionOutcome
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking.answers import Metered
from gateway.federation.asking.tokens import NoToken
from sdk.refusals import explain

REFUSED: Final = RegionOutcome.REGION_OUTCOME_REFUSED
LATE: Final = RegionOutcome.REGION_OUTCOME_LATE
UNREACHABLE: Final = RegionOutcome.REGION_OUTCOME_UNREACHABLE
UNVERIFIED: Final = RegionOutcome.REGION_OUTCOME_UNVERIFIED

_PREFIX: Final = "REFUSAL_REASON_"
_R = RefusalReason
# What passes by itself, and so is asked again while there is time.
_PASSING: Final = frozenset(
    {
        _R.REFUSAL_REASON_AUTHORITY_UNKNOWN,
        _R.REFUSAL_REASON_FEDERATION_UNKNOWN,
        _R.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        _R.REFUSAL_REASON_DISCLOSURE_CHANGING,
    }
)
_TOKENS: Final = frozenset(
    {
        _R.REFUSAL_REASON_TOKEN_EXPIRED,
        _R.REFUSAL_REASON_TOKEN_INVALID,
        _R.REFUSAL_REASON_TOKEN_REVOKED,
        _R.REFUSAL_REASON_TOKEN_NOT_YOURS,
        _R.REFUSAL_REASON_DETAILS_NOT_IN_FORCE,
    }
)
# A process that ends cancels calls that it has received and not begun.
_BROKEN: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL}
)
# RFC 6749 section 5.2: what the region's authorisation server says of the client and of the
# credential it presents.
_TOKEN_ERRORS: Final[Mapping[str, RefusalReason.ValueType]] = {
    "invalid_grant": _R.REFUSAL_REASON_LICENCE_CREDENTIAL_INVALID,
    "invalid_request": _R.REFUSAL_REASON_LICENCE_CREDENTIAL_INVALID,
    "invalid_scope": _R.REFUSAL_REASON_SCOPE_NOT_GRANTED,
    "invalid_authorization_details": _R.REFUSAL_REASON_ITEM_NOT_ALLOWED,
}


class Ended(Exception):
    """A question ended without a whole answer.

    ``refusal`` is the reason, of REFUSED and UNVERIFIED; ``again`` whether asking once more may
    help, ``renew`` that it takes another token; ``retry_after`` in seconds. ``metered`` is what the
    region told that it charged before for the chunk that was to come, if it did.
    """

    def __init__(
        self,
        outcome: RegionOutcome.ValueType,
        refusal: RefusalReason.ValueType = _R.REFUSAL_REASON_UNSPECIFIED,
        *,
        again: bool = False,
        renew: bool = False,
        retry_after: float | None = None,
        metered: Metered | None = None,
    ) -> None:
        super().__init__(RegionOutcome.Name(outcome))
        self.outcome = outcome
        self.refusal = refusal
        self.again = again
        self.renew = renew
        self.retry_after = retry_after
        self.metered = metered

    @property
    def silent(self) -> bool:
        """Whether the region gave no answer at all: what a circuit breaker counts."""
        return self.outcome in (LATE, UNREACHABLE)


def of_call(error: grpc.aio.AioRpcError) -> Ended:
    """Return how a call ended that the region, or the way to it, failed."""
    refusal = explain(error)
    if refusal.reason:
        reason = _reason(refusal.reason)
        return Ended(
            REFUSED,
            reason,
            again=reason in _PASSING or reason in _TOKENS,
            renew=reason in _TOKENS,
            retry_after=refusal.retry_after,
        )
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Ended(LATE)
    return Ended(UNREACHABLE, again=error.code() in _BROKEN)


def of_token(error: NoToken) -> Ended:
    """Return how a question ended for which there was no token."""
    if not error.error:
        return Ended(UNREACHABLE, again=True)
    unknown = _R.REFUSAL_REASON_CLIENT_NOT_ACTIVE
    return Ended(REFUSED, _TOKEN_ERRORS.get(error.error, unknown))


def _reason(name: str) -> RefusalReason.ValueType:
    number = dict(RefusalReason.items()).get(_PREFIX + name)
    # A newer region may know reasons that this version does not.
    return _R.REFUSAL_REASON_UNSPECIFIED if number is None else RefusalReason.ValueType(number)
