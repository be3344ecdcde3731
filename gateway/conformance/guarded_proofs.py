"""GetSubjectProof behind what stands before record calls: it tells name, item and period of what
is disclosed in public of a company, and nothing is metered; that it was told is logged. Operators are told no more of it than
an answer could serve them; of the rest item and digest, without which nothing would be proved."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from creditgate.refusal import Refused
from creditgate.v1.disclosure_service_pb2 import GetSubjectProofRequest, GetSubjectProofResponse
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authorise.shown import shown_to
from gateway.authorise.stopping import require_running
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.conformance.throttle import Throttle
from gateway.rate import Rate
from gateway.respond.use import SCOPE

AT_ONCE: Final = 60
"""Most proofs one asker is given in a row by one process."""
SECONDS: Final = 1.0
"""Every so many seconds it may ask for one more."""


class Proofs(Protocol):
    """What proves; see `gateway.transparency.subject_proof.SubjectProofService`."""

    def get_subject_proof(
        self, request: GetSubjectProofRequest, shown: Callable[[str, str], bool] | None
    ) -> Awaitable[GetSubjectProofResponse]:
        """Answer GetSubjectProof, naming what is ``shown``, all of it where that is None."""
        ...


class GuardedProofs:
    """The method of ``proofs``, for those who may ask now; one event loop's own.

    ``monotonic`` gives seconds; ``note_told`` logs, durably, that a caller is told; it raises
    Refused.
    """

    def __init__(
        self,
        proofs: Proofs,
        throttle: Throttle,
        view: Callable[[], AuthorityView],
        clock: Clock,
        monotonic: Callable[[], float],
        note_told: Callable[[Caller, GetSubjectProofRequest], Awaitable[None]],
    ) -> None:
        self._proofs = proofs
        self._throttle = throttle
        self._view = view
        self._clock = clock
        self._monotonic = monotonic
        self._note_told = note_told
        self._rate = Rate(SECONDS, AT_ONCE)

    async def get_subject_proof(
        self, request: GetSubjectProofRequest, caller: Caller
    ) -> GetSubjectProofResponse:
        """Answer GetSubjectProof.

        Raises Refused OPERATOR_SUSPENDED, OPERATOR_REVOKED or NO_LICENCE by how the caller's
        operator stands, EMERGENCY_BRAKE, RATE_EXCEEDED, and what ``proofs`` and ``note_told`` raise.
        """
        authority, shown = self._view().authority, None
        if caller.role == ClientRole.CLIENT_ROLE_REGION:
            # It asks about what a firm showed it, which the firm's licence opened, not its own.
            require_running(authority.brakes, caller.operator_id, ())
        elif caller.operator_id:
            now = self._clock.now()
            shown = shown_to(authority, caller, request.subject, SCOPE, now)
        self._throttle.require(caller.operator_id, 1)
        if wait := self._rate.wait(caller.asker, self._monotonic()):
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "You ask for proofs of subjects too often.",
                retry_after=wait,
            )
        answer = await self._proofs.get_subject_proof(request, shown)
        await self._note_told(caller, request)
        return answer
