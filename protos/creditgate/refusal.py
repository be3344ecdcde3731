"""Refusals: one exception type, one closed set of reasons, one mapping to gRPC status.

The reasons are the proto enum ``RefusalReason``; what each means and the status it
travels with stands beside its value in ``refusal.proto``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from creditgate.v1.refusal_pb2 import RefusalReason

DOMAIN: Final = "creditgate"


class StatusCode(IntEnum):
    """The canonical codes of google.rpc.Code that this gateway uses."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


_R = RefusalReason
STATUS: Final[Mapping[int, StatusCode]] = MappingProxyType(
    {
        _R.REFUSAL_REASON_NO_CLIENT_CERTIFICATE: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_TOKEN_MISSING: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_TOKEN_INVALID: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_TOKEN_EXPIRED: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_TOKEN_NOT_YOURS: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_TOKEN_REVOKED: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_TOKEN_PROOF_INVALID: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_TOKEN_PROOF_NONCE: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_CLIENT_NOT_ACTIVE: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_OPERATOR_SUSPENDED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_OPERATOR_REVOKED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_NO_LICENCE: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_SCOPE_NOT_GRANTED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_ITEM_NOT_ALLOWED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_PURPOSE_NOT_ALLOWED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_REGION_NOT_ALLOWED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_CONSENT_REQUIRED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_CONSENT_UNKNOWN: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_CONSENT_NOT_GRANTED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_CONSENT_PAUSED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_CONSENT_REVOKED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_CONSENT_EXPIRED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_CONSENT_NOT_BEGUN: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_CONSENT_EXHAUSTED: StatusCode.RESOURCE_EXHAUSTED,
        _R.REFUSAL_REASON_CONSENT_EXCEEDED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_ITEM_RESTRICTED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_SUBJECT_NOT_ALLOWED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_DETAILS_NOT_IN_FORCE: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_QUOTA_EXHAUSTED: StatusCode.RESOURCE_EXHAUSTED,
        _R.REFUSAL_REASON_RATE_EXCEEDED: StatusCode.RESOURCE_EXHAUSTED,
        _R.REFUSAL_REASON_AUTHORITY_UNKNOWN: StatusCode.UNAVAILABLE,
        _R.REFUSAL_REASON_REQUEST_ID_REUSED: StatusCode.ALREADY_EXISTS,
        _R.REFUSAL_REASON_REQUEST_SUPERSEDED: StatusCode.ABORTED,
        _R.REFUSAL_REASON_RECORD_NOT_DISCLOSED: StatusCode.NOT_FOUND,
        _R.REFUSAL_REASON_INVALID_REQUEST: StatusCode.INVALID_ARGUMENT,
        _R.REFUSAL_REASON_RESOURCE_NOT_FOUND: StatusCode.NOT_FOUND,
        _R.REFUSAL_REASON_RESOURCE_EXISTS: StatusCode.ALREADY_EXISTS,
        _R.REFUSAL_REASON_ETAG_MISMATCH: StatusCode.ABORTED,
        _R.REFUSAL_REASON_STATE_CONFLICT: StatusCode.FAILED_PRECONDITION,
        _R.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE: StatusCode.UNAVAILABLE,
        _R.REFUSAL_REASON_DISCLOSURE_CHANGING: StatusCode.ABORTED,
        _R.REFUSAL_REASON_NO_PRICE_PLAN: StatusCode.FAILED_PRECONDITION,
        _R.REFUSAL_REASON_ANSWER_TOO_LARGE: StatusCode.RESOURCE_EXHAUSTED,
        _R.REFUSAL_REASON_STEP_UP_REQUIRED: StatusCode.UNAUTHENTICATED,
        _R.REFUSAL_REASON_ADMINISTRATOR_NOT_ACTIVE: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_EMERGENCY_BRAKE: StatusCode.FAILED_PRECONDITION,
        _R.REFUSAL_REASON_FEDERATION_UNKNOWN: StatusCode.UNAVAILABLE,
        _R.REFUSAL_REASON_REGION_NOT_TRUSTED: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_ITEM_NOT_MAPPED: StatusCode.FAILED_PRECONDITION,
        _R.REFUSAL_REASON_LICENCE_CREDENTIAL_INVALID: StatusCode.PERMISSION_DENIED,
        _R.REFUSAL_REASON_USAGE_UNSIGNED: StatusCode.FAILED_PRECONDITION,
        _R.REFUSAL_REASON_METHOD_NOT_SERVED: StatusCode.UNIMPLEMENTED,
    }
)


def reason_name(reason: RefusalReason.ValueType) -> str:
    """Return the name callers see in ErrorInfo.reason, e.g. ``ITEM_NOT_ALLOWED``."""
    return RefusalReason.Name(reason).removeprefix("REFUSAL_REASON_")


@dataclass(frozen=True, slots=True)
class Violation:
    """One malformed field: a google.rpc.BadRequest.FieldViolation.

    ``field`` is a proto field path (``licence.validity.end_time``); ``description``
    tells the mend and never repeats the value.
    """

    field: str
    description: str


class Refused(Exception):
    """A call, change or record is refused for one reason of the closed set.

    ``message`` tells the caller how to mend it and carries no subject data;
    ``violations`` become BadRequest details, ``retry_after`` (whole seconds) and
    ``retry_micros`` (microseconds besides) RetryInfo, ``metadata`` ErrorInfo.metadata.
    """

    def __init__(
        self,
        reason: RefusalReason.ValueType,
        message: str,
        *,
        violations: Sequence[Violation] = (),
        retry_after: int | None = None,
        retry_micros: int = 0,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.retry_micros = retry_micros
        self.metadata = dict(metadata or {})

    @property
    def status(self) -> StatusCode:
        """The gRPC status this refusal travels with."""
        return STATUS[self.reason]


def invalid(*violations: Violation) -> Refused:
    """Return the refusal of a malformed request, one violation for each field."""
    return Refused(
        RefusalReason.REFUSAL_REASON_INVALID_REQUEST,
        "The request is malformed: " + "; ".join(f"{v.field}: {v.description}" for v in violations),
        violations=violations,
    )
