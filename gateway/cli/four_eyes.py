"""``creditgate scopes proposals|approve|reject|policy``: what takes a second person."""

import json
from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import scope_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.calls import Gateway
from gateway.cli.options import PROFILE, AsJson, Profile, Why
from gateway.cli.output import Sheet, show, utc

_PENDING = "pending"
_ProposalId = Annotated[str, typer.Argument(metavar="PROPOSAL", help="Id of the proposal.")]


def proposals(
    proposal_id: Annotated[
        str, typer.Argument(metavar="[PROPOSAL]", help="Only this one, whole.")
    ] = "",
    state: Annotated[
        pb.ProposalState.ValueType,
        typer.Option(
            "--state",
            parser=terms.proposal_state,
            autocompletion=terms.proposal_states,
            metavar="STATE",
            help="pending, approved, rejected, expired, superseded or all.",
        ),
    ] = _PENDING,  # type: ignore[assignment]  # parsed as if it were typed
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List what waits for a second person; or show one proposal, whole."""
    if proposal_id:
        answer = calls.ask(
            profile, pb.GetProposalRequest(proposal_id=proposal_id), pb.GetProposalResponse
        )
        show(answer, _whole(answer.proposal), as_json=as_json)
        return
    listed = calls.every_page(
        profile, pb.ListProposalsRequest(state=state, page_size=200), pb.ListProposalsResponse
    )
    show(listed, _sheet(listed.proposals), as_json=as_json)


def approve(
    proposal_id: _ProposalId, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False
) -> None:
    """Approve another person's proposal: its change is made at once."""
    answer = calls.ask(
        profile,
        pb.ApproveProposalRequest(proposal_id=proposal_id, reason=reason),
        pb.ApproveProposalResponse,
    )
    changes = Sheet(
        "Changes",
        ("sequence", "kind", "id", "version"),
        [
            (str(change.sequence), change.kind, change.id, str(change.version))
            for change in answer.changes
        ],
        frozenset({"sequence", "version"}),
    )
    show(answer, _sheet([answer.proposal]), changes, as_json=as_json)


def reject(
    proposal_id: _ProposalId, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False
) -> None:
    """Reject a proposal, or take your own back."""
    answer = calls.ask(
        profile,
        pb.RejectProposalRequest(proposal_id=proposal_id, reason=reason),
        pb.RejectProposalResponse,
    )
    show(answer, _sheet([answer.proposal]), as_json=as_json)


def policy(
    guarded: Annotated[
        bool | None,
        typer.Option(
            "--guarded/--open",
            help="Guarded: widening takes two people, dangerous actions a fresh sign-in."
            " Without either, shows which it is.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history.")] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Show or set whether widening authority takes a second person."""
    if guarded is None:
        found = calls.ask(
            profile, pb.GetAdministrationPolicyRequest(), pb.GetAdministrationPolicyResponse
        )
        show(found, _policy(found.policy), as_json=as_json)
        return

    async def set_policy(gateway: Gateway) -> pb.SetAdministrationPolicyResponse:
        present = await gateway.ask(
            pb.GetAdministrationPolicyRequest(), pb.GetAdministrationPolicyResponse
        )
        asked = pb.AdministrationPolicy(guarded=guarded, etag=present.policy.etag)
        return await gateway.ask(
            pb.SetAdministrationPolicyRequest(policy=asked, reason=reason),
            pb.SetAdministrationPolicyResponse,
        )

    answer = calls.with_gateway(profile, set_policy)
    show(answer, _policy(answer.policy), as_json=as_json)


def _policy(found: pb.AdministrationPolicy) -> Sheet:
    says = (
        "guarded: widening takes two people" if found.guarded else "open: administrators act alone"
    )
    return Sheet("Administration policy", ("policy", "etag"), [(says, found.etag)])


def _sheet(found: Iterable[pb.Proposal]) -> Sheet:
    return Sheet(
        "Proposals",
        ("proposal", "method", "why", "by", "expires", "state", "decided by"),
        [
            (
                proposal.proposal_id,
                proposal.method,
                proposal.reason,
                proposal.proposed_by,
                utc(proposal.expire_time),
                terms.show_proposal_state(proposal.state),
                proposal.decided_by,
            )
            for proposal in found
        ],
    )


def _whole(proposal: pb.Proposal) -> Sheet:
    return Sheet(
        "Proposal",
        (
            "proposal",
            "state",
            "method",
            "request",
            "why",
            "proposed by",
            "through",
            "proposed",
            "expires",
            "decided by",
            "decided",
            "decision",
        ),
        [
            (
                proposal.proposal_id,
                terms.show_proposal_state(proposal.state),
                proposal.method,
                json.dumps(json.loads(proposal.document), ensure_ascii=False, indent=2),
                proposal.reason,
                proposal.proposed_by,
                proposal.proposed_through,
                utc(proposal.propose_time),
                utc(proposal.expire_time),
                proposal.decided_by,
                utc(proposal.decide_time),
                proposal.decision_reason,
            )
        ],
        blocks=True,
    )
