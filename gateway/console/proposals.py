"""Proposals: what waits for a second person (双人复核), approved or rejected."""

import json
from typing import Final

from starlette.responses import Response

from creditgate.v1 import scope_service_pb2 as pb
from creditgate.v1.scope_service_pb2 import ProposalState
from gateway.console.visit import Visit
from gateway.console.words import PROPOSAL_STATES
from gateway.pages.words import said

_PENDING: Final = ProposalState.PROPOSAL_STATE_PENDING


async def show_all(visit: Visit) -> Response:
    """Show what waits, or everything that was ever proposed."""
    everything = "all" in visit.request.query_params
    state = ProposalState.PROPOSAL_STATE_UNSPECIFIED if everything else _PENDING
    listed = await visit.every_page(
        pb.ListProposalsRequest(state=state, page_size=200), pb.ListProposalsResponse
    )
    return visit.page(
        "proposals.html",
        tab="/proposals",
        everything=everything,
        proposals=[(each, _state(visit, each)) for each in reversed(listed.proposals)],
    )


async def show(visit: Visit) -> Response:
    """Show one proposal, whole."""
    proposal = (
        await visit.ask(
            pb.GetProposalRequest(proposal_id=visit.named("proposal_id")), pb.GetProposalResponse
        )
    ).proposal
    return visit.page(
        "proposal.html",
        tab="/proposals",
        proposal=proposal,
        state=_state(visit, proposal),
        asked=json.dumps(json.loads(proposal.document), ensure_ascii=False, indent=2),
        pending=proposal.state == _PENDING,
        own=proposal.proposed_by == visit.administrator.principal,
        may_approve=visit.deed(pb.ApproveProposalRequest),
        may_reject=visit.deed(pb.RejectProposalRequest),
    )


async def approve(visit: Visit) -> Response:
    """Approve another person's proposal."""
    proposal_id = visit.named("proposal_id")
    form = await visit.form("approve", proposal_id)
    await visit.ask(
        pb.ApproveProposalRequest(proposal_id=proposal_id, reason=form.get("reason", "")),
        pb.ApproveProposalResponse,
    )
    return visit.sent_on(f"/proposals/{proposal_id}", done="approved")


async def reject(visit: Visit) -> Response:
    """Reject a proposal, or take one's own back."""
    proposal_id = visit.named("proposal_id")
    form = await visit.form("reject", proposal_id)
    await visit.ask(
        pb.RejectProposalRequest(proposal_id=proposal_id, reason=form.get("reason", "")),
        pb.RejectProposalResponse,
    )
    return visit.sent_on(f"/proposals/{proposal_id}", done="rejected")


def _state(visit: Visit, proposal: pb.Proposal) -> str:
    return said(visit.language, PROPOSAL_STATES[proposal.state])
