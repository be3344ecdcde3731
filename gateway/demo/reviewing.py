"""Scene of four eyes (双人复核): people sign in, and what widens takes two of them."""

from contextlib import AsyncExitStack
from typing import Final

from creditgate.v1.administrator_service_pb2 import Administrator
from creditgate.v1.operator_service_pb2 import (
    GrantScopesRequest,
    GrantScopesResponse,
    ScopeGrant,
    WithdrawScopesRequest,
    WithdrawScopesResponse,
)
from creditgate.v1.scope_service_pb2 import (
    AdministrationPolicy,
    ApproveProposalRequest,
    ApproveProposalResponse,
    GetAdministrationPolicyRequest,
    GetAdministrationPolicyResponse,
    GetProposalRequest,
    GetProposalResponse,
    Proposal,
    SetAdministrationPolicyRequest,
    SetAdministrationPolicyResponse,
)
from gateway.cli.calls import Gateway
from gateway.cli.output import Sheet, several
from gateway.cli.terms import show_administrator_role, show_proposal_state
from gateway.demo.account import Section, Step
from gateway.demo.cast import PEOPLE, PRICES, REGISTRATION
from gateway.demo.changing import settled
from gateway.demo.enrolment import REASON
from gateway.demo.invented import CORRECTED
from gateway.demo.people import Person, provider_of, register_people, signed_in
from gateway.demo.stage import CHECK, SERVED, Stage, answered, answered_by, outcome
from operators.administrators import scopes_of_administrator_role

_PROPOSER, _APPROVER = "zhang-li", "wang-jun"
_WARDENS = ("zhou-an", "wu-ping")
_NOT_YET: Final = "ITEM_NOT_ALLOWED"
_STEPPED_UP: Final = "signed in with a second factor"


async def reviewed(stage: Stage) -> Section:
    """Guard the policy, widen a grant by two people, take it back by one, open the policy."""
    alone = await outcome(_set_policy(stage.administrator, guarded=True))
    people = await _registered(stage)
    await _set_policy(stage.administrator, guarded=True)
    steps = [
        Step("administrator", "wants a guarded policy, being alone", "STATE_CONFLICT", alone),
        Step(
            "administrator",
            "registers people, each in one role, and guards the policy",
            f"{len(PEOPLE)} people, guarded",
            f"{len(people)} people, {await _standing(stage.administrator)}",
        ),
    ]
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(signed_in(stage.home, _PROPOSER))
        proposer = await stack.enter_async_context(signed_in(stage.home, _PROPOSER, strongly=True))
        steps += await _before(stage, plain)
        proposal_id = await _propose(stage, proposer.gateway)
        steps += await _waiting(stage, proposer, proposal_id)
        approver = await stack.enter_async_context(signed_in(stage.home, _APPROVER, strongly=True))
        approved = await _approve(approver.gateway, proposal_id)
        steps += await _after(stage, plain, approved)
    steps.append(await _opened(stage))
    return Section(
        "People sign in (the demo plays their browsers, the pages are real), and what widens"
        " takes two (双人复核)",
        tuple(steps),
        (_people(people), _proposal(approved.proposal)),
    )


async def _registered(stage: Stage) -> list[Administrator]:
    provider = await provider_of(stage.home)
    return list(await register_people(stage.administrator, provider))


async def _before(stage: Stage, plain: Person) -> tuple[Step, ...]:
    own = plain.scopes == scopes_of_administrator_role(PEOPLE[_PROPOSER])
    return (
        Step(
            _PROPOSER,
            "signs in: pushed request, sign-in, approval, code, token",
            "the scopes of licensing",
            "the scopes of licensing" if own else several(sorted(plain.scopes)),
        ),
        Step(
            _PROPOSER,
            "grants beta registrations without a second factor",
            "STEP_UP_REQUIRED",
            await outcome(_propose(stage, plain.gateway)),
        ),
    )


async def _waiting(stage: Stage, proposer: Person, proposal_id: str) -> tuple[Step, ...]:
    found = await proposer.gateway.ask(
        GetProposalRequest(proposal_id=proposal_id), GetProposalResponse
    )
    return (
        Step(
            _PROPOSER,
            f"grants it again, {_STEPPED_UP}",
            "a proposal, pending",
            f"a proposal, {show_proposal_state(found.proposal.state)}",
        ),
        Step(
            "beta",
            "asks for a registration meanwhile",
            _NOT_YET,
            await outcome(stage.beta.subject(CORRECTED, REGISTRATION)),
        ),
        Step(
            _PROPOSER,
            "approves the proposal alone",
            "STATE_CONFLICT",
            await outcome(_approve(proposer.gateway, proposal_id)),
        ),
    )


async def _after(
    stage: Stage, plain: Person, approved: ApproveProposalResponse
) -> tuple[Step, ...]:
    async def ask() -> str:
        return await outcome(stage.beta.subject(CORRECTED, REGISTRATION))

    served = await stage.beta.subject(CORRECTED, REGISTRATION)
    grant_ids = [change.id for change in approved.changes]
    await plain.gateway.ask(
        WithdrawScopesRequest(grant_ids=grant_ids, reason=REASON), WithdrawScopesResponse
    )
    return (
        Step(
            _APPROVER,
            f"approves it, {_STEPPED_UP}",
            "approved",
            show_proposal_state(approved.proposal.state),
        ),
        Step(
            "beta",
            "asks again, by the token it has",
            answered(1, PRICES["basic"]),
            answered_by(served),
        ),
        Step(
            "beta",
            f"asks after {_PROPOSER} withdrew the grant: what narrows takes one",
            _NOT_YET,
            await settled(ask, SERVED),
        ),
    )


async def _opened(stage: Stage) -> Step:
    first, second = _WARDENS
    async with signed_in(stage.home, first, strongly=True) as warden:
        asked = await _set_policy(warden.gateway, guarded=False)
    async with signed_in(stage.home, second, strongly=True) as warden:
        await _approve(warden.gateway, asked.proposal_id)
    return Step(
        f"{first}, {second}",
        "open the policy again for what follows, in the role security",
        "open",
        await _standing(stage.administrator),
    )


async def _propose(stage: Stage, gateway: Gateway) -> str:
    """Ask for a grant to beta and return the id of the proposal it became."""
    grant = ScopeGrant(
        grantee=stage.beta.party.operator_id,
        scope="credit.records:read",
        items=[REGISTRATION],
        purposes=[CHECK],
    )
    answer = await gateway.ask(
        GrantScopesRequest(grants=[grant], reason=REASON), GrantScopesResponse
    )
    return answer.proposal_id


async def _approve(gateway: Gateway, proposal_id: str) -> ApproveProposalResponse:
    return await gateway.ask(
        ApproveProposalRequest(proposal_id=proposal_id, reason=REASON), ApproveProposalResponse
    )


async def _set_policy(gateway: Gateway, *, guarded: bool) -> SetAdministrationPolicyResponse:
    present = await gateway.ask(GetAdministrationPolicyRequest(), GetAdministrationPolicyResponse)
    policy = AdministrationPolicy(guarded=guarded, etag=present.policy.etag)
    return await gateway.ask(
        SetAdministrationPolicyRequest(policy=policy, reason=REASON),
        SetAdministrationPolicyResponse,
    )


async def _standing(gateway: Gateway) -> str:
    present = await gateway.ask(GetAdministrationPolicyRequest(), GetAdministrationPolicyResponse)
    return "guarded" if present.policy.guarded else "open"


def _people(people: list[Administrator]) -> Sheet:
    return Sheet(
        "Administrators",
        ("administrator", "name", "roles"),
        [
            (
                person.administrator_id,
                person.display_name,
                several(map(show_administrator_role, person.roles)),
            )
            for person in people
        ],
    )


def _proposal(proposal: Proposal) -> Sheet:
    return Sheet(
        "The proposal, as the history keeps it",
        ("method", "proposed by", "decided by", "state"),
        [
            (
                proposal.method,
                proposal.proposed_by,
                proposal.decided_by,
                show_proposal_state(proposal.state),
            )
        ],
    )
