"""Own roles: no person widens what they themselves may do. Pure.

NIST SP 800-53 Rev. 5, AC-6: least privilege is worth nothing to those who set it for
themselves. Judged by what a change writes, whichever method it came by and whoever
proposed it, so that approving one's own widening is no way around.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.administration.presence import conflict
from operators.administrators import ADMINISTRATOR, Administrator
from operators.authority import Authority
from operators.log import Draft
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant
from operators.persons import OUT_OF_REACH, acting_administrator, require_reach
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition

_ADMINISTRATORS_CLIENT: Final = ClientRole.CLIENT_ROLE_ADMINISTRATOR
_NOTHING: Final = frozenset[str]()


def require_within_roles(authority: Authority, principal: str, drafts: Sequence[Draft]) -> None:
    """Raise Refused where who acts as ``principal`` would write more than befits them.

    STATE_CONFLICT for roles added to their own; SCOPE_NOT_GRANTED for what would let them
    act, through a client that administers, beyond their roles (`operators.persons`).
    """
    acting = acting_administrator(authority, principal)
    if acting is None:
        return
    for draft in drafts:
        if draft.kind == ADMINISTRATOR:
            _require_no_more_for(acting, draft)
        reach = _REACHES.get(draft.kind)
        if reach is not None:
            require_reach(authority, principal, reach(authority, draft))


def _require_no_more_for(acting: Administrator, draft: Draft) -> None:
    after = Administrator.from_document(draft.document, version=0, changed_at=0)
    if after.administrator_id == acting.administrator_id and not after.roles <= acting.roles:
        raise conflict("Nobody adds roles to their own; ask another administrator.")


def _reach_of_client(authority: Authority, draft: Draft) -> frozenset[str]:
    client = Client.from_document(draft.document, version=0, changed_at=0)
    if client.role != _ADMINISTRATORS_CLIENT or client.removed_at is not None:
        return _NOTHING
    # Whose keys it has, or where it sends browsers back to, decides who acts as it.
    return frozenset({OUT_OF_REACH})


def _reach_of_grant(authority: Authority, draft: Draft) -> frozenset[str]:
    grant = ScopeGrant.from_document(draft.document, version=0, changed_at=0)
    client = authority.clients.get(grant.grantee)
    if client is None or client.role != _ADMINISTRATORS_CLIENT or draft.expected_version:
        # A grant that exists can only become narrower.
        return _NOTHING
    definition = authority.definitions.get(grant.scope)
    return frozenset({grant.scope}) if definition is None else definition.scopes


def _reach_of_definition(authority: Authority, draft: Draft) -> frozenset[str]:
    definition = ScopeDefinition.from_document(draft.document, version=0, changed_at=0)
    before = authority.definitions.get(definition.name)
    if _ADMINISTRATORS_CLIENT not in definition.roles or before is None:
        # Nobody holds a new one: granting it is judged then.
        return _NOTHING
    return definition.scopes - before.scopes


_REACHES: Final[Mapping[str, Callable[[Authority, Draft], frozenset[str]]]] = {
    CLIENT: _reach_of_client,
    SCOPE_GRANT: _reach_of_grant,
    SCOPE_DEFINITION: _reach_of_definition,
}
