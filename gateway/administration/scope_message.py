"""Managed scopes, proposals and the policy as proto messages."""

import json

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import scope_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.interaction.words import SCOPES
from operators.administration_policy import AdministrationPolicy
from operators.authority import Authority
from operators.proposal import Proposal
from operators.scope_definition import ScopeDefinition

_ACTIVE = pb.ScopeDefinitionState.SCOPE_DEFINITION_STATE_ACTIVE
_RETIRED = pb.ScopeDefinitionState.SCOPE_DEFINITION_STATE_RETIRED


def definition_message(definition: ScopeDefinition) -> pb.ScopeDefinition:
    """Return a managed scope as its message, sets in order."""
    return pb.ScopeDefinition(
        name=definition.name,
        scopes=sorted(definition.scopes),
        items=sorted(definition.items),
        purposes=map(Purpose.ValueType, sorted(definition.purposes)),
        regions=sorted(definition.regions),
        longest_validity_days=definition.longest_validity_days or 0,
        title_zh=definition.title_zh,
        title_en=definition.title_en,
        description_zh=definition.description_zh,
        description_en=definition.description_en,
        state=_ACTIVE if definition.retired_at is None else _RETIRED,
        etag=str(definition.version),
        update_time=Timestamp(seconds=definition.changed_at),
    )


def built_in_message(scope: str) -> pb.ScopeDefinition:
    """Return a method's own scope as a message; it has no version, since it never changes."""
    title_zh, title_en = SCOPES.get(scope, ("", ""))
    return pb.ScopeDefinition(
        name=scope,
        scopes=[scope],
        title_zh=title_zh,
        title_en=title_en,
        state=_ACTIVE,
        built_in=True,
    )


def proposal_message(proposal: Proposal, authority: Authority, now: int) -> pb.Proposal:
    """Return a proposal as it stands at ``now`` as its message."""
    message = pb.Proposal(
        proposal_id=proposal.proposal_id,
        method=proposal.method,
        document=json.dumps(proposal.request, ensure_ascii=False, sort_keys=True),
        reason=proposal.reason,
        proposed_by=proposal.proposed_by,
        proposed_through=proposal.proposed_through,
        propose_time=Timestamp(seconds=proposal.proposed_at),
        expire_time=Timestamp(seconds=proposal.expires_at),
        state=proposal.state(now, authority.version_of),
        decided_by=proposal.decided_by,
        decision_reason=proposal.decision_reason,
    )
    if proposal.decided_at is not None:
        message.decide_time.seconds = proposal.decided_at
    return message


def policy_message(policy: AdministrationPolicy) -> pb.AdministrationPolicy:
    """Return the policy as its message."""
    return pb.AdministrationPolicy(guarded=policy.guarded, etag=str(policy.version))
