"""Grants narrowed: fewer items, purposes or regions, or an earlier end; never wider."""

from creditgate.refusal import Violation
from creditgate.v1 import scope_service_pb2 as pb
from gateway.administration.desk import Desk
from gateway.administration.grants import standing_grant
from gateway.administration.journal import draft, stored
from gateway.administration.keyholders import require_keyholder
from gateway.administration.message import grant_message
from gateway.administration.presence import conflict
from gateway.administration.request import reason_faults, require
from gateway.administration.scope_request import narrowed_grant
from gateway.administration.within_licence import bound_faults
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.log import Draft
from operators.model import SCOPE_GRANT, ScopeGrant
from operators.scope_definition import wider_bounds


class ScopeChanges(Desk):
    """The method of ScopeService about what stays granted."""

    async def narrow_scope_grant(
        self, request: pb.NarrowScopeGrantRequest, caller: Caller
    ) -> pb.NarrowScopeGrantResponse:
        """Answer NarrowScopeGrant.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for a grant
        withdrawn already and for the last keyholder's; see `keyholders`.
        """
        require(reason_faults(request.reason))

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            grant = standing_grant(view.authority, request.grant_id, "grant_id")
            narrowed = narrowed_grant(grant, request)
            require(bound_faults(view.authority, narrowed, "") + _faults(grant, narrowed, now))
            if narrowed == grant:
                raise conflict("The grant is so narrow already; name bounds that leave it less.")
            if narrowed.valid_until != grant.valid_until:
                require_keyholder(view.authority, [grant], now)
            return [draft(SCOPE_GRANT, grant.grant_id, narrowed)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.NarrowScopeGrantResponse(grant=grant_message(stored(ScopeGrant, change)))


def _faults(grant: ScopeGrant, narrowed: ScopeGrant, now: int) -> list[Violation]:
    faults = [
        Violation(name, "name only what the grant covers now; GrantScopes makes another")
        for name in wider_bounds(narrowed, grant)
    ]
    until = narrowed.valid_until
    if until is not None and until != grant.valid_until:
        if grant.valid_until is not None and until > grant.valid_until:
            faults.append(Violation("end_time", "must be no later than the grant's end"))
        if until <= now:
            faults.append(
                Violation("end_time", "must be later than now; WithdrawScopes ends it at once")
            )
    return faults
