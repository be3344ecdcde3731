"""Refusals and failures as gRPC answers: status, message, google.rpc details (AIP-193)."""

import logging
import sqlite3
from typing import Final, NamedTuple

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from creditgate.refusal import DOMAIN, Refused, reason_name
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.failure_kind import failure_kind
from gateway.transparency.keys import KeyOver

_log = logging.getLogger(__name__)
_DETAILS_KEY: Final = "grpc-status-details-bin"
_STATUS: Final = {code.value[0]: code for code in grpc.StatusCode}
# What a store raises when it cannot be reached or written; a bug raises other things.
_STORE_FAILURES: Final = (DBAPIError, PoolTimeout, sqlite3.Error, OSError)


Trailers = tuple[tuple[str, str | bytes], ...]


class Answer(NamedTuple):
    """How a call that is not served ends."""

    code: grpc.StatusCode
    message: str
    trailers: Trailers


def refusal_answer(refused: Refused, trailers: Trailers = ()) -> Answer:
    """Return a refusal as the answer a caller can act on, with ``trailers`` besides."""
    code = int(refused.status)
    status = status_pb2.Status(code=code, message=refused.message)
    _pack(
        status,
        error_details_pb2.ErrorInfo(
            reason=reason_name(refused.reason), domain=DOMAIN, metadata=refused.metadata
        ),
    )
    if refused.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in refused.violations:
            bad_request.field_violations.add(
                field=violation.field, description=violation.description
            )
        _pack(status, bad_request)
    if refused.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = refused.retry_after
        retry.retry_delay.nanos = refused.retry_micros * 1_000
        _pack(status, retry)
    details = (_DETAILS_KEY, status.SerializeToString())
    return Answer(_STATUS[code], refused.message, (details, *trailers))


def refusal_of_failure(error: Exception) -> Refused | None:
    """Return the refusal that a failing store means, or a key of a log that signs no more, None for
    any other failure.

    Logged by type: a message could hold a row, and so subject data.
    """
    if isinstance(error, KeyOver):
        return key_over()
    if isinstance(error, _STORE_FAILURES):
        _log.error("a store failed: %s", failure_kind(error))
        return Refused(
            RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
            "A store the answer depends on cannot be reached; try again.",
            retry_after=1,
        )
    return None


def key_over() -> Refused:
    """Return the refusal of what the former key of a log would have to sign."""
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "The key of a log was changed beside this process, which has to be started again.",
        retry_after=30,
    )


def failure_answer(method: str, error: Exception) -> Answer:
    """Return the answer to a call that failed inside, and log where, without its data."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "nowhere"
    _log.error("%s failed: %s at %s", method, type(error).__name__, where)
    return Answer(grpc.StatusCode.INTERNAL, "The gateway failed; its operator can see why.", ())


def unserved(method: str) -> Refused:
    """Return the refusal of a method of the contract that this gateway does not serve."""
    return Refused(
        RefusalReason.REFUSAL_REASON_METHOD_NOT_SERVED,
        f"{method} is served by gateways of a federation, and this one is in none; an administrator"
        " names the federation by the setting federation_anchor.",
    )


def _pack(status: status_pb2.Status, detail: Message) -> None:
    status.details.add().Pack(detail)
