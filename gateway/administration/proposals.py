"""Proposals: listed, approved by a second person, rejected."""

from typing import Final

from creditgate.refusal import Refused, Violation
from creditgate.v1 import scope_service_pb2 as pb
from creditgate.v1.scope_service_pb2 import ProposalState
from gateway.administration.approvable import judged_anew
from gateway.administration.desk import Desk, actor
from gateway.administration.four_eyes import require_changeable_back
from gateway.administration.journal import draft, stored
from gateway.administration.listing import page_by_id
from gateway.administration.message import change_message
from gateway.administration.own_roles import require_within_roles
from gateway.administration.presence import conflict, missing
from gateway.administration.request import reason_faults, require
from gateway.administration.scope_message import proposal_message
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.authority import Authority
from operators.log import Draft
from operators.persons import OWN_PAGES, SignIn, acting_administrator, require_person
from operators.proposal import PROPOSAL, Proposal
from operators.rules import may_call, require_call

_PENDING: Final = ProposalState.PROPOSAL_STATE_PENDING
_NOT_PENDING: Final = {
    ProposalState.PROPOSAL_STATE_APPROVED: "The proposal was approved already.",
    ProposalState.PROPOSAL_STATE_REJECTED: "The proposal was rejected; propose it anew.",
    ProposalState.PROPOSAL_STATE_EXPIRED: "The proposal has expired; propose it anew.",
    ProposalState.PROPOSAL_STATE_SUPERSEDED: (
        "What the proposal rests on was changed meanwhile; look at it and propose anew."
    ),
}


class Proposals(Desk):
    """The methods of ScopeService about what waits for a second person."""

    async def get_proposal(
        self, request: pb.GetProposalRequest, caller: Caller
    ) -> pb.GetProposalResponse:
        """Answer GetProposal; raises Refused RESOURCE_NOT_FOUND."""
        del caller  # administrators see every proposal
        authority = self._feed.current().authority
        proposal = _present(authority, request.proposal_id)
        return pb.GetProposalResponse(
            proposal=proposal_message(proposal, authority, self._clock.now())
        )

    async def list_proposals(
        self, request: pb.ListProposalsRequest, caller: Caller
    ) -> pb.ListProposalsResponse:
        """Answer ListProposals; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every proposal
        if request.state not in ProposalState.values():
            names = ", ".join(ProposalState.keys())
            require([Violation("state", f"use one of {names}")])
        authority, now = self._feed.current().authority, self._clock.now()
        page, token = page_by_id(
            (
                proposal_id
                for proposal_id, proposal in authority.proposals.items()
                if request.state in {0, proposal.state(now, authority.version_of)}
            ),
            lambda proposal_id: proposal_message(authority.proposals[proposal_id], authority, now),
            page_size=request.page_size,
            token=request.page_token,
            filters=("proposals", str(request.state)),
        )
        return pb.ListProposalsResponse(proposals=page, next_page_token=token)

    async def approve_proposal(
        self, request: pb.ApproveProposalRequest, caller: Caller
    ) -> pb.ApproveProposalResponse:
        """Answer ApproveProposal.

        The proposal is judged anew on the present state, and approval and change are one
        entry in the log, so that of two approvals one applies. Raises Refused
        INVALID_REQUEST; RESOURCE_NOT_FOUND; STATE_CONFLICT for one that waits no more,
        that the caller made, or whose proposer may no longer make it; SCOPE_NOT_GRANTED or
        STEP_UP_REQUIRED where the caller could not make it; and what the method raises.
        """
        require(reason_faults(request.reason))

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            authority = view.authority
            proposal = _pending(authority, request.proposal_id, now)
            if not proposal.may_be_approved_by(actor(caller), caller.client_id):
                raise conflict("Nobody approves their own proposal; another person has to.")
            approvable, judged = judged_anew(proposal)
            _require_proposer(authority, proposal, approvable.scope, now)
            _require_entitled(authority, caller, approvable.scope, now)
            drafts = judged(view, now)
            for who in (proposal.proposed_by, actor(caller)):
                require_within_roles(authority, who, drafts)
            require_changeable_back(authority, drafts, now)
            decided = _decided(proposal, "approved", caller, now, request.reason)
            return [draft(PROPOSAL, proposal.proposal_id, decided), *drafts]

        decision, *changes = await self._journal.write(
            judge,
            changed_by=actor(caller),
            reason=f"{request.reason} (approval of proposal {request.proposal_id})",
        )
        proposal = stored(Proposal, decision)
        return pb.ApproveProposalResponse(
            proposal=proposal_message(
                proposal, self._feed.current().authority, decision.changed_at
            ),
            changes=map(change_message, changes),
        )

    async def reject_proposal(
        self, request: pb.RejectProposalRequest, caller: Caller
    ) -> pb.RejectProposalResponse:
        """Answer RejectProposal; who made it may take it back.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for one that
        waits no more.
        """
        require(reason_faults(request.reason))

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            proposal = _pending(view.authority, request.proposal_id, now)
            decided = _decided(proposal, "rejected", caller, now, request.reason)
            return [draft(PROPOSAL, proposal.proposal_id, decided)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.RejectProposalResponse(
            proposal=proposal_message(
                stored(Proposal, change), self._feed.current().authority, change.changed_at
            )
        )


def _present(authority: Authority, proposal_id: str) -> Proposal:
    proposal = authority.proposals.get(proposal_id)
    if proposal is None:
        raise missing("No proposal has this proposal_id; ListProposals lists them.")
    return proposal


def _pending(authority: Authority, proposal_id: str, now: int) -> Proposal:
    proposal = _present(authority, proposal_id)
    state = proposal.state(now, authority.version_of)
    if state != _PENDING:
        raise conflict(_NOT_PENDING[state])
    return proposal


def _decided(proposal: Proposal, decision: str, caller: Caller, now: int, reason: str) -> Proposal:
    return proposal.model_copy(
        update={
            "decision": decision,
            "decided_by": actor(caller),
            "decided_at": now,
            "decision_reason": reason,
        }
    )


def _require_entitled(authority: Authority, caller: Caller, scope: str, now: int) -> None:
    """Raise Refused unless ``caller`` could do now what the proposal asks for."""
    if caller.client_id != OWN_PAGES:
        require_call(authority, caller.client_id, scope, caller.token_scopes, now)
    sign_in = SignIn(caller.principal, caller.auth_time, caller.acr)
    require_person(authority, sign_in, scope, now)


def _require_proposer(authority: Authority, proposal: Proposal, scope: str, now: int) -> None:
    """Raise Refused STATE_CONFLICT unless who proposed could still propose it."""
    try:
        person = acting_administrator(authority, proposal.proposed_by)
        holds = person is None or scope in person.scopes
    except Refused:
        holds = False
    if not holds or not _lets_through(authority, proposal.proposed_through, scope, now):
        raise conflict("Who proposed this may no longer do so; somebody else has to propose it.")


def _lets_through(authority: Authority, client_id: str, scope: str, now: int) -> bool:
    if client_id == OWN_PAGES:
        return True
    return may_call(authority, client_id, scope, frozenset({scope}), now) is None
