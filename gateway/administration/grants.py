"""Scope grants: made and withdrawn several at once, all or none."""

from secrets import token_hex
from typing import Final

from creditgate.refusal import Violation
from creditgate.v1 import operator_service_pb2 as pb
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.keyholders import require_keyholder
from gateway.administration.listing import whole
from gateway.administration.message import grant_message
from gateway.administration.presence import conflict, grantee_role, missing
from gateway.administration.request import (
    count_faults,
    grant_ids_of,
    grants_of,
    reason_faults,
    require,
)
from gateway.administration.within_licence import grant_faults
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.authority import Authority
from operators.log import Draft
from operators.model import SCOPE_GRANT, ScopeGrant

_ID_BYTES: Final = 8


class Grants(Desk):
    """The methods of OperatorService about scope grants."""

    async def grant_scopes(
        self, request: pb.GrantScopesRequest, caller: Caller
    ) -> pb.GrantScopesResponse:
        """Answer GrantScopes.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND for a grantee, or
        STATE_CONFLICT for one that was revoked or removed or holds no licence.
        """
        outcome = await self._change(request, granting(request), caller)
        return pb.GrantScopesResponse(
            grants=[grant_message(stored(ScopeGrant, change)) for change in outcome.changes],
            proposal_id=outcome.proposal_id,
        )

    async def list_scope_grants(
        self, request: pb.ListScopeGrantsRequest, caller: Caller
    ) -> pb.ListScopeGrantsResponse:
        """Answer ListScopeGrants; raises Refused RESOURCE_NOT_FOUND, ANSWER_TOO_LARGE."""
        del caller  # administrators see every grant
        authority = self._feed.current().authority
        if grantee_role(authority, request.grantee) is None:
            raise missing("No operator and no client of another role has this id.")
        grants = authority.grants_of.get(request.grantee, ())
        return pb.ListScopeGrantsResponse(grants=whole(map(grant_message, grants)))

    async def withdraw_scopes(
        self, request: pb.WithdrawScopesRequest, caller: Caller
    ) -> pb.WithdrawScopesResponse:
        """Answer WithdrawScopes.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for a grant
        withdrawn already and for the last keyholder's; see `keyholders`.
        """
        grant_ids = grant_ids_of(request)

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            grants = [
                standing_grant(view.authority, grant_id, f"grant_ids[{index}]")
                for index, grant_id in enumerate(grant_ids)
            ]
            require_keyholder(view.authority, grants, now)
            ended = [grant.model_copy(update={"withdrawn_at": now}) for grant in grants]
            return [draft(SCOPE_GRANT, grant.grant_id, grant) for grant in ended]

        changes = await self._write(judge, caller, request.reason)
        return pb.WithdrawScopesResponse(
            grants=[grant_message(stored(ScopeGrant, change)) for change in changes]
        )


def granting(request: pb.GrantScopesRequest) -> Judge:
    """Return the judge of a GrantScopes request; raises Refused INVALID_REQUEST."""
    require(count_faults("grants", len(request.grants)))
    grant_ids = [token_hex(_ID_BYTES) for _ in request.grants]
    grants = grants_of(request.grants, grant_ids, reason_faults(request.reason))

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        beyond: list[Violation] = []
        for index, grant in enumerate(grants):
            beyond += grant_faults(view.authority, grant, f"grants[{index}]", now)
        require(beyond)
        return [draft(SCOPE_GRANT, grant.grant_id, grant) for grant in grants]

    return judge


def standing_grant(authority: Authority, grant_id: str, at: str) -> ScopeGrant:
    """Return a grant that was not withdrawn; ``at`` is where the request names it.

    Raises Refused RESOURCE_NOT_FOUND, STATE_CONFLICT.
    """
    grant = authority.grants.get(grant_id)
    if grant is None:
        raise missing(f"{at}: no grant has this id; ListScopeGrants lists those of a grantee.")
    if grant.withdrawn_at is not None:
        raise conflict(f"{at}: the grant was withdrawn already; leave it out.")
    return grant
