"""The administration policy: read and set; giving up four-eyes takes a second person."""

from creditgate.v1 import scope_service_pb2 as pb
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.presence import conflict, require_etag
from gateway.administration.request import etag_faults, reason_faults, require
from gateway.administration.scope_message import policy_message
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.administration_policy import (
    ADMINISTRATION_POLICY,
    POLICY_ID,
    AdministrationPolicy,
)
from operators.log import Draft


class Policy(Desk):
    """The methods of ScopeService about the policy."""

    async def get_administration_policy(
        self, request: pb.GetAdministrationPolicyRequest, caller: Caller
    ) -> pb.GetAdministrationPolicyResponse:
        """Answer GetAdministrationPolicy."""
        del request, caller  # administrators see the policy
        policy = self._feed.current().authority.policy
        return pb.GetAdministrationPolicyResponse(policy=policy_message(policy))

    async def set_administration_policy(
        self, request: pb.SetAdministrationPolicyRequest, caller: Caller
    ) -> pb.SetAdministrationPolicyResponse:
        """Answer SetAdministrationPolicy.

        Raises Refused INVALID_REQUEST, ETAG_MISMATCH, or STATE_CONFLICT where it stands
        so already, and for a guarded one that nobody could give up again.
        """
        outcome = await self._change(request, setting_policy(request), caller)
        response = pb.SetAdministrationPolicyResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.policy.CopyFrom(policy_message(stored(AdministrationPolicy, change)))
        return response


def setting_policy(request: pb.SetAdministrationPolicyRequest) -> Judge:
    """Return the judge of a SetAdministrationPolicy request; raises Refused INVALID_REQUEST."""
    require(reason_faults(request.reason) + etag_faults("policy.etag", request.policy.etag))

    def judge(view: AuthorityView, _now: int) -> list[Draft]:
        present = view.authority.policy
        require_etag(present, request.policy.etag)
        if present.guarded == request.policy.guarded:
            raise conflict("The policy stands so already.")
        changed = present.model_copy(update={"guarded": request.policy.guarded})
        return [draft(ADMINISTRATION_POLICY, POLICY_ID, changed)]

    return judge
