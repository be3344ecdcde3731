"""Proposals: changes that widen authority, kept until a second person decides (four-eyes, 双人复核)."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator

from creditgate.v1.scope_service_pb2 import ProposalState
from operators import shapes
from operators.kept import Kept
from operators.model import Instant

PROPOSAL: Final = "proposal"
LIFE_SECONDS: Final = 7 * 86_400
"""How long a proposal waits for its decision."""

_PENDING: Final = ProposalState.PROPOSAL_STATE_PENDING
_DECIDED: Final[Mapping[str, ProposalState.ValueType]] = {
    "approved": ProposalState.PROPOSAL_STATE_APPROVED,
    "rejected": ProposalState.PROPOSAL_STATE_REJECTED,
}


class Proposal(Kept):
    """A request whose change waits for approval.

    ``method`` is the method it was made to, ``request`` the message as JSON.
    ``proposed_by`` is who made it, a person or a client, through the client
    ``proposed_through``. ``rests_on`` are the versions it was judged on: once one of them
    is superseded, so is the proposal. What ``decision`` does not tell follows from time.
    """

    proposal_id: Annotated[str, AfterValidator(shapes.licence_number)]
    method: str
    request: dict[str, object]
    reason: str
    proposed_by: str
    proposed_through: str
    proposed_at: Instant
    expires_at: Instant
    rests_on: tuple[tuple[str, str, int], ...] = ()
    decision: Literal["approved", "rejected"] | None = None
    decided_by: str = ""
    decided_at: Instant | None = None
    decision_reason: str = ""

    def state(self, now: int, version_of: Callable[[str, str], int]) -> ProposalState.ValueType:
        """Return its state at ``now`` (seconds, UTC).

        ``version_of`` gives the present version of a thing by kind and id, 0 for none.
        """
        if self.decision is not None:
            return _DECIDED[self.decision]
        if now >= self.expires_at:
            return ProposalState.PROPOSAL_STATE_EXPIRED
        if any(version_of(kind, id_) != version for kind, id_, version in self.rests_on):
            return ProposalState.PROPOSAL_STATE_SUPERSEDED
        return _PENDING

    def may_be_approved_by(self, principal: str, client_id: str) -> bool:
        """Tell whether who acts as ``principal`` through ``client_id`` is a second person.

        A client that acts for itself is no other than whoever acts through it.
        """
        proposers = {self.proposed_by}
        if principal == client_id:
            proposers.add(self.proposed_through)
        approvers = {principal}
        if self.proposed_by == self.proposed_through:
            approvers.add(client_id)
        return proposers.isdisjoint(approvers)
