"""An office of several people, who sign in through one client, and what they ask for."""

from collections.abc import Iterable
from typing import Final

from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authenticate.caller import Caller
from operators.administrators import ADMINISTRATOR, STRONG_ACR, Administrator
from operators.log import AuthorityLog, Draft
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant
from operators.roles import scopes_of_role
from tests.administration.world import NOW, REASON, World, grant, jwks, period, thumbprint

CONSOLE: Final = "console"
NAME: Final = "credit.records.bidding:read"
BIDDING: Final = Purpose.PURPOSE_BIDDING
CHECK: Final = Purpose.PURPOSE_SUPPLIER_CHECK
_ROLE: Final = ClientRole.CLIENT_ROLE_ADMINISTRATOR
_SCOPES: Final = scopes_of_role(_ROLE)
_LICENSING: Final = AdministratorRole.ADMINISTRATOR_ROLE_LICENSING
_SECURITY: Final = AdministratorRole.ADMINISTRATOR_ROLE_SECURITY
PEOPLE: Final = {
    "ann": frozenset({_LICENSING, _SECURITY}),
    "bob": frozenset({_LICENSING, _SECURITY}),
    "cat": frozenset({_LICENSING}),
    "dan": frozenset({AdministratorRole.ADMINISTRATOR_ROLE_AUDIT}),
}


def furnish_office(log: AuthorityLog, people: Iterable[str] = tuple(PEOPLE)) -> None:
    """Put in the people and the client they sign in through."""
    client = Client(
        client_id=CONSOLE,
        role=_ROLE,
        jwks=jwks(),
        certificate_thumbprints=frozenset({thumbprint(CONSOLE)}),
        grant_types=frozenset({"authorization_code"}),
        redirect_uris=frozenset({"https://console.example/back"}),
    )
    grants = [
        ScopeGrant(grant_id=f"{CONSOLE}-{number}", grantee=CONSOLE, scope=scope, valid_from=NOW)
        for number, scope in enumerate(sorted(_SCOPES))
    ]
    persons = [person(name) for name in people]
    log.append(
        [
            Draft(CLIENT, CONSOLE, 0, client.as_document()),
            *(Draft(SCOPE_GRANT, made.grant_id, 0, made.as_document()) for made in grants),
            *(Draft(ADMINISTRATOR, one.administrator_id, 0, one.as_document()) for one in persons),
        ],
        changed_by="installation",
        changed_at=NOW,
        reason="set-up",
    )


def person(name: str) -> Administrator:
    """Return one of the people."""
    return Administrator(
        administrator_id=name,
        display_name=name.title(),
        issuer="https://people.example",
        subject=name,
        roles=PEOPLE[name],
    )


def acting(name: str, *, client: str = CONSOLE, at: int = NOW) -> Caller:
    """Return one of the people, signed in strongly at ``at``."""
    return Caller(
        client_id=client,
        role=_ROLE,
        operator_id="",
        token_scopes=_SCOPES,
        token_expires_at=at + 300,
        principal=f"administrator:{name}",
        auth_time=at,
        acr=STRONG_ACR,
    )


def machine(client_id: str) -> Caller:
    """Return a client that acts for itself."""
    return Caller(
        client_id=client_id,
        role=_ROLE,
        operator_id="",
        token_scopes=_SCOPES,
        token_expires_at=NOW + 300,
        principal=client_id,
    )


def definition(
    name: str = NAME,
    *,
    scopes: Iterable[str] = ("credit.records:read",),
    items: Iterable[str] = ("penalty",),
    purposes: Iterable[Purpose.ValueType] = (BIDDING,),
    regions: Iterable[str] = (),
    days: int = 0,
    etag: str = "",
) -> scopes_pb.ScopeDefinition:
    """Return a good definition, of penalties for bidding."""
    return scopes_pb.ScopeDefinition(
        name=name,
        scopes=scopes,
        items=items,
        purposes=purposes,
        regions=regions,
        longest_validity_days=days,
        title_zh="投标核验",
        title_en="Checks of bidders",
        etag=etag,
    )


async def define(
    world: World, asked: scopes_pb.ScopeDefinition, caller: Caller | None = None
) -> scopes_pb.ScopeDefinition:
    """Define a scope."""
    request = scopes_pb.CreateScopeDefinitionRequest(definition=asked, reason=REASON)
    return (await world.scopes.create_scope_definition(request, caller or acting("ann"))).definition


async def change(
    world: World, asked: scopes_pb.ScopeDefinition, caller: Caller | None = None
) -> scopes_pb.UpdateScopeDefinitionResponse:
    """Change a scope."""
    request = scopes_pb.UpdateScopeDefinitionRequest(definition=asked, reason=REASON)
    return await world.scopes.update_scope_definition(request, caller or acting("ann"))


async def retire(world: World, name: str = NAME, caller: Caller | None = None) -> None:
    """Retire a scope."""
    request = scopes_pb.RetireScopeDefinitionRequest(name=name, reason=REASON)
    await world.scopes.retire_scope_definition(request, caller or acting("ann"))


async def narrow(
    world: World,
    grant_id: str,
    *,
    items: Iterable[str] = (),
    purposes: Iterable[Purpose.ValueType] = (),
    regions: Iterable[str] = (),
    until: int | None = None,
    caller: Caller | None = None,
) -> pb.ScopeGrant:
    """Narrow a grant."""
    request = scopes_pb.NarrowScopeGrantRequest(
        grant_id=grant_id,
        items=items,
        purposes=purposes,
        regions=regions,
        end_time=period(None, until).end_time if until is not None else None,
        reason=REASON,
    )
    return (await world.scopes.narrow_scope_grant(request, caller or acting("ann"))).grant


async def grants(
    world: World, *asked: pb.ScopeGrant, caller: Caller | None = None
) -> pb.GrantScopesResponse:
    """Ask for grants, one of alpha's records scope unless told otherwise."""
    request = pb.GrantScopesRequest(grants=asked or [grant()], reason=REASON)
    return await world.service.grant_scopes(request, caller or acting("ann"))


async def set_policy(
    world: World, *, guarded: bool, caller: Caller | None = None
) -> scopes_pb.SetAdministrationPolicyResponse:
    """Set the policy, as it was last read."""
    policy = scopes_pb.AdministrationPolicy(
        guarded=guarded, etag=str(world.authority.policy.version)
    )
    request = scopes_pb.SetAdministrationPolicyRequest(policy=policy, reason=REASON)
    return await world.scopes.set_administration_policy(request, caller or acting("ann"))


async def approve(
    world: World, proposal_id: str, caller: Caller | None = None
) -> scopes_pb.ApproveProposalResponse:
    """Approve a proposal, as bob unless told otherwise."""
    request = scopes_pb.ApproveProposalRequest(proposal_id=proposal_id, reason="seen and right")
    return await world.scopes.approve_proposal(request, caller or acting("bob", at=world.clock.at))


async def reject(
    world: World, proposal_id: str, caller: Caller | None = None
) -> scopes_pb.Proposal:
    """Reject a proposal, as bob unless told otherwise."""
    request = scopes_pb.RejectProposalRequest(proposal_id=proposal_id, reason="not needed")
    return (await world.scopes.reject_proposal(request, caller or acting("bob"))).proposal


async def state_of(world: World, proposal_id: str) -> str:
    """Return where a proposal stands."""
    request = scopes_pb.GetProposalRequest(proposal_id=proposal_id)
    found = (await world.scopes.get_proposal(request, acting("dan"))).proposal
    return scopes_pb.ProposalState.Name(found.state).removeprefix("PROPOSAL_STATE_")
