"""Four-eyes (双人复核): which changes become proposals, and what keeps a policy changeable. Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 10, security
duties; NIST SP 800-53 Rev. 5, AC-3(2), dual authorization.
"""

from collections.abc import Sequence
from typing import Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from creditgate.refusal import Violation, invalid
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.scope_service_pb2 import ProposalState
from gateway.administration.presence import conflict, exists
from gateway.administration.widening import widens
from gateway.authority.view import AuthorityView
from gateway.catalogue.model import CATALOGUE_ITEM
from operators.administration_policy import ADMINISTRATION_POLICY
from operators.authority import Authority
from operators.log import Change, Draft
from operators.model import SCOPE_GRANT, Client
from operators.proposal import LIFE_SECONDS, Proposal
from operators.recognition import CROSS_BORDER_TRANSFER
from operators.scope_definition import SCOPE_DEFINITION

_MOST_PENDING: Final = 500
_MOST_BYTES: Final = 1 << 20
_FEWEST_WARDENS: Final = 2
_WARDEN: Final = frozenset({"policy:set", "proposals:approve"})
# What leaves the country does so by two people's decision, whatever the policy.
_ALWAYS_TWO: Final = frozenset({CROSS_BORDER_TRANSFER})
_PENDING: Final = ProposalState.PROPOSAL_STATE_PENDING


def takes_two(view: AuthorityView, drafts: Sequence[Draft]) -> bool:
    """Tell whether writing ``drafts`` takes a second person."""
    if any(draft.kind in _ALWAYS_TWO for draft in drafts):
        return True
    authority, catalogue = view.authority, view.catalogue
    return authority.policy.guarded and any(widens(authority, draft, catalogue) for draft in drafts)


def proposal_of(
    authority: Authority,
    proposal_id: str,
    request: Message,
    drafts: Sequence[Draft],
    proposed_by: str,
    proposed_through: str,
    now: int,
) -> Proposal:
    """Return ``request`` as a proposal; ``drafts`` are what it would write now.

    Raises Refused RESOURCE_EXISTS where the same person proposed the same already,
    STATE_CONFLICT where too many proposals wait, INVALID_REQUEST for one too large.
    """
    if request.ByteSize() > _MOST_BYTES:
        raise invalid(Violation("", "too large for a proposal: ask for less at once"))
    document = MessageToDict(request, preserving_proto_field_name=True)
    reason = document.pop("reason")
    method = method_of(request)
    pending = [
        found
        for found in authority.proposals.values()
        if found.state(now, authority.version_of) == _PENDING
    ]
    for found in pending:
        if (found.proposed_by, found.method, found.request) == (proposed_by, method, document):
            raise exists(f"This is proposed already and waits for approval: {found.proposal_id}.")
    if len(pending) >= _MOST_PENDING:
        raise conflict("Too many proposals wait; approve or reject some first (ListProposals).")
    return Proposal(
        proposal_id=proposal_id,
        method=method,
        request=document,
        reason=reason,
        proposed_by=proposed_by,
        proposed_through=proposed_through,
        proposed_at=now,
        expires_at=now + LIFE_SECONDS,
        rests_on=tuple(_bases(authority, drafts)),
    )


def method_of(request: Message) -> str:
    """Return the method a request message belongs to (buf's RPC_REQUEST_RESPONSE_UNIQUE)."""
    return request.DESCRIPTOR.name.removesuffix("Request")


def require_changeable_back(authority: Authority, drafts: Sequence[Draft], now: int) -> None:
    """Raise Refused STATE_CONFLICT where ``drafts`` take away what changing the policy back needs.

    Two administrators must be able to propose giving a guarded policy up and to approve
    that, and there must be a client they can sign in through, whose grants for it have no
    end. Where one of these is missing already, only what leaves still less is refused: a
    suspension or a withdrawal must not wait until it is mended.
    """
    begins = not authority.policy.guarded
    if begins and all(draft.kind != ADMINISTRATION_POLICY for draft in drafts):
        return
    after = authority.advanced(_as_written(authority, drafts, now))
    if not after.policy.guarded:
        return
    wardens = _wardens(after)
    if wardens < _FEWEST_WARDENS and (begins or wardens < _wardens(authority)):
        raise conflict(
            "A guarded policy takes two administrators in the role security: there must be"
            " another one first."
        )
    if not _has_way_in(after, now) and (begins or _has_way_in(authority, now)):
        raise conflict(
            "A guarded policy takes an administrator's client with the grant type"
            f" authorization_code that holds {' and '.join(sorted(_WARDEN))}, without an end:"
            " there must be another one first."
        )


def _wardens(authority: Authority) -> int:
    return sum(each.scopes >= _WARDEN for each in authority.administrators.values())


def _has_way_in(authority: Authority, now: int) -> bool:
    return any(_lets_wardens_in(authority, client, now) for client in authority.clients.values())


def _lets_wardens_in(authority: Authority, client: Client, now: int) -> bool:
    return (
        client.role == ClientRole.CLIENT_ROLE_ADMINISTRATOR
        and client.removed_at is None
        and "authorization_code" in client.grant_types
        and {
            grant.scope
            for grant in authority.grants_of.get(client.grantee, ())
            if grant.in_force(now) and grant.valid_until is None
        }
        >= _WARDEN
    )


def _bases(authority: Authority, drafts: Sequence[Draft]) -> Sequence[tuple[str, str, int]]:
    """Return the versions of things that a judgement rests on: what it writes anew, and the
    definitions of scopes it grants."""
    bases: dict[tuple[str, str], int] = {}
    for draft in drafts:
        if draft.kind == SCOPE_GRANT and draft.expected_version == 0:
            # Its id is drawn afresh when it is approved.
            scope = str(draft.document["scope"])
            if scope in authority.definitions:
                bases[SCOPE_DEFINITION, scope] = authority.definitions[scope].version
        elif draft.kind != CATALOGUE_ITEM:
            # Of a catalogue item the request names the version itself, which is judged anew.
            bases[draft.kind, draft.id] = draft.expected_version
    return [(*key, version) for key, version in bases.items()]


def _as_written(authority: Authority, drafts: Sequence[Draft], now: int) -> list[Change]:
    return [
        Change(
            authority.sequence + number,
            draft.kind,
            draft.id,
            draft.expected_version + 1,
            draft.document,
            "",
            now,
            "",
        )
        for number, draft in enumerate(drafts, 1)
    ]
