"""Refusals, readable: google.rpc error details decoded (AIP-193)."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from creditgate.refusal import DOMAIN, Violation
from creditgate.v1.usage_log_pb2 import UsageReceipt

_DETAILS_KEY = "grpc-status-details-bin"
_CHARGED = "usage_receipt"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call failed.

    ``status`` is the gRPC status name; ``reason`` the gateway's (see RefusalReason),
    "" when the failure is not the gateway's own answer, for example a broken
    connection; ``violations`` the malformed fields; ``retry_after`` seconds to wait
    before trying again, None when trying again does not help by itself; ``metadata`` what
    else the reason says, such as how to sign in for a STEP_UP_REQUIRED.
    """

    status: str
    reason: str
    message: str
    violations: tuple[Violation, ...]
    retry_after: float | None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def away(self) -> bool:
        """Whether the gateway is not there for the moment, so that the same call may be made
        again. A process that ends cancels calls that it has received and not begun."""
        return self.status in ("UNAVAILABLE", "CANCELLED")

    def __str__(self) -> str:
        name = self.reason or self.status
        fields = "".join(f"\n  {v.field}: {v.description}" for v in self.violations)
        wait = "" if self.retry_after is None else f" (try again in {self.retry_after:g} s)"
        return f"{name}: {self.message}{wait}{fields}"


def charged(refusal: Refusal) -> UsageReceipt | None:
    """Return the receipt of what a refused request was charged when it was answered first, where
    the refusal has one: the answer was lost, and does not come any more. It is unverified, and the
    gateway's word alone (`sdk.usage_book.UsageBook.keep_charged`)."""
    try:
        told = b64decode(refusal.metadata.get(_CHARGED, ""), validate=True)
        return UsageReceipt.FromString(told) if told else None
    except (ValueError, DecodeError):
        return None


def explain(error: grpc.RpcError) -> Refusal:
    """Return what ``error``, raised by a call, says."""
    if not isinstance(error, grpc.aio.AioRpcError | grpc.Call):
        return Refusal("UNKNOWN", "", str(error), (), None)
    code: grpc.StatusCode = error.code()
    status = _details(error)
    reason = ""
    violations: tuple[Violation, ...] = ()
    retry_after: float | None = None
    metadata: dict[str, str] = {}
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(request):
            violations = tuple(Violation(v.field, v.description) for v in request.field_violations)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    return Refusal(
        code.name, reason, error.details() or code.name, violations, retry_after, metadata
    )


def _details(error: grpc.aio.AioRpcError | grpc.Call) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=code_pb2.UNKNOWN)
