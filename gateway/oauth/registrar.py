"""The registrar: changes that clients make to their own registration, in the authority log."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.oauth.context import AuthorizationContext
from operators.authority import Authority
from operators.kept import Kept
from operators.log import Draft
from operators.sql import SqlAuthorityLog

_ATTEMPTS: Final = 40
_WAIT_SECONDS: Final = 0.05
_BEHIND: Final = (
    RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
    RefusalReason.REFUSAL_REASON_RESOURCE_EXISTS,
)


@dataclass(frozen=True)
class Ruling:
    """What a request changes, and the answer once that is written."""

    drafts: Sequence[Draft]
    answer: Response


Judge = Callable[[Authority, int], Ruling]
"""Rules on a request in a state of authority at an instant (seconds, UTC).

Pure, since it is asked again when the state turns out to be old; it raises what refuses
the request.
"""


class Registrar:
    """Writes changes judged on the newest state. Blocks on the store: call it in a thread."""

    def __init__(self, context: AuthorizationContext) -> None:
        self._context = context
        self._log = SqlAuthorityLog(context.engine)

    def write(self, judge: Judge, *, changed_by: str, reason: str) -> Response:
        """Write what ``judge`` rules, all or nothing, and wait until this process knows it.

        Returns its answer, made before the write: what cannot be told is not written.
        Raises what ``judge`` raises, Refused AUTHORITY_UNKNOWN, or TEMPORARILY_UNAVAILABLE
        when other changes keep coming first.
        """
        for _ in range(_ATTEMPTS):
            now = self._context.clock.now()
            authority = self._context.authority().authority
            ruling = judge(authority, now)
            try:
                changes = self._log.append(
                    ruling.drafts,
                    changed_by=changed_by,
                    changed_at=now,
                    reason=reason,
                    follows=authority.sequence,
                )
            except Refused as refused:
                if refused.reason not in _BEHIND:
                    raise
                # The feed follows within its poll.
                time.sleep(_WAIT_SECONDS)
                continue
            self._await(changes[-1].sequence)
            return ruling.answer
        raise Refused(
            RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
            "Authority keeps changing; nothing was registered, try again.",
            retry_after=1,
        )

    def _await(self, sequence: int) -> None:
        for _ in range(_ATTEMPTS):
            try:
                if self._context.authority().authority.sequence >= sequence:
                    return
            except Refused:
                # What is written stands, and its secret must reach the client.
                return
            time.sleep(_WAIT_SECONDS)


def draft(kind: str, thing_id: str, thing: Kept) -> Draft:
    """Return ``thing`` as the version that follows its own."""
    return Draft(kind, thing_id, thing.version, thing.as_document())


def taken_by_another(authority: Authority, client_id: str, thumbprints: frozenset[str]) -> bool:
    """Tell whether a live client other than ``client_id`` has one of these certificates.

    RFC 8705 section 2: a certificate tells the client it authenticates. What a region says of
    itself claims none: it could name anybody's.
    """
    return any(
        not thumbprints.isdisjoint(client.certificate_thumbprints)
        for client in authority.clients.values()
        if client.removed_at is None
        and client.client_id != client_id
        and client.role != ClientRole.CLIENT_ROLE_REGION
    )


def may_register(authority: Authority, operator_id: str, licence: str | None, now: int) -> bool:
    """Tell whether an operator is active under a licence in force; None: any of its own."""
    operator = authority.operators.get(operator_id)
    return (
        operator is not None
        and operator.state == OperatorState.OPERATOR_STATE_ACTIVE
        and any(
            held.in_force(now)
            for held in authority.licences_of.get(operator_id, ())
            if licence in (None, held.number)
        )
    )
