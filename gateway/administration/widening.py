"""What widens authority: a change after which somebody may do more than before. Pure.

Under a guarded policy it takes two people (four-eyes, 双人复核). Judged by kind, on the
thing before and after; a kind unknown here counts as widening.
"""

from collections.abc import Callable, Mapping
from typing import Final

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem
from gateway.catalogue.widening import widens_item
from operators.administration_policy import ADMINISTRATION_POLICY, AdministrationPolicy
from operators.administrators import ADMINISTRATOR, Administrator
from operators.authority import Authority
from operators.brakes import BRAKE, Brake
from operators.client_widening import widens_client
from operators.limits import LIMIT, Limit
from operators.log import Draft
from operators.model import (
    CLIENT,
    LICENCE,
    OPERATOR,
    SCOPE_GRANT,
    Client,
    Licence,
    Operator,
    ScopeGrant,
)
from operators.proposal import PROPOSAL
from operators.recognition import (
    CROSS_BORDER_PROFILE,
    RECOGNITION_RULE,
    CrossBorderProfile,
    RecognitionRule,
)
from operators.regions import REGION_ADMISSION, RegionAdmission
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition, wider_bounds

_ACTIVE: Final = OperatorState.OPERATOR_STATE_ACTIVE


def widens(authority: Authority, draft: Draft, catalogue: Mapping[str, CatalogueItem]) -> bool:
    """Tell whether ``draft``, judged on ``authority`` and ``catalogue``, lets somebody do more than
    before."""
    if draft.kind == CATALOGUE_ITEM:
        after = CatalogueItem.from_document(draft.document, version=0, changed_at=0)
        return widens_item(catalogue.get(draft.id), after)
    judge = _JUDGES.get(draft.kind)
    return judge is None or judge(authority, draft)


def narrower_grant(after: ScopeGrant, before: ScopeGrant) -> bool:
    """Tell whether all that ``after`` gives, ``before`` gave too."""
    if after.withdrawn_at is not None:
        return True
    until, until_before = after.valid_until, before.valid_until
    return (
        before.withdrawn_at is None
        and (after.grantee, after.scope) == (before.grantee, before.scope)
        and not wider_bounds(after, before)
        and after.valid_from >= before.valid_from
        and (until_before is None or (until is not None and until <= until_before))
    )


def _operator(authority: Authority, draft: Draft) -> bool:
    before = authority.operators.get(draft.id)
    after = Operator.from_document(draft.document, version=0, changed_at=0)
    if after.state != _ACTIVE:
        return False
    # A new one may do nothing before it holds a licence.
    return draft.id in authority.licences_of if before is None else before.state != _ACTIVE


def _licence(authority: Authority, draft: Draft) -> bool:
    del authority  # a licence is issued, or revoked
    return Licence.from_document(draft.document, version=0, changed_at=0).revoked_at is None


def _client(authority: Authority, draft: Draft) -> bool:
    after = Client.from_document(draft.document, version=0, changed_at=0)
    return widens_client(authority.clients.get(draft.id), after)


def _grant(authority: Authority, draft: Draft) -> bool:
    before = authority.grants.get(draft.id)
    after = ScopeGrant.from_document(draft.document, version=0, changed_at=0)
    return before is None or not narrower_grant(after, before)


def _definition(authority: Authority, draft: Draft) -> bool:
    before = authority.definitions.get(draft.id)
    after = ScopeDefinition.from_document(draft.document, version=0, changed_at=0)
    if before is not None:
        return after.widens(before)
    # Nobody holds a new one, but for grants of a method's scope that an earlier release had.
    return any(grant.scope == draft.id for grant in authority.grants.values())


def _policy(authority: Authority, draft: Draft) -> bool:
    after = AdministrationPolicy.from_document(draft.document, version=0, changed_at=0)
    return authority.policy.guarded and not after.guarded


def _administrator(authority: Authority, draft: Draft) -> bool:
    before = authority.administrators.get(draft.id)
    after = Administrator.from_document(draft.document, version=0, changed_at=0)
    if after.removed_at is not None:
        return False
    if before is None or before.removed_at is not None:
        return True
    same_person = (after.issuer, after.subject) == (before.issuer, before.subject)
    return not same_person or not after.roles <= before.roles


def _brake(authority: Authority, draft: Draft) -> bool:
    del authority  # what is released was engaged
    return not Brake.from_document(draft.document, version=0, changed_at=0).engaged


def _limit(authority: Authority, draft: Draft) -> bool:
    del authority  # what is retired was in force
    return not Limit.from_document(draft.document, version=0, changed_at=0).in_force


def _admission(authority: Authority, draft: Draft) -> bool:
    del authority  # a region is admitted, or dismissed
    return (
        RegionAdmission.from_document(draft.document, version=0, changed_at=0).dismissed_at is None
    )


def _recognition(authority: Authority, draft: Draft) -> bool:
    del authority  # a table may let in more wherever it is not retired
    return not RecognitionRule.from_document(draft.document, version=0, changed_at=0).retired


def _profile(authority: Authority, draft: Draft) -> bool:
    del authority  # as with mapping tables
    return not CrossBorderProfile.from_document(draft.document, version=0, changed_at=0).retired


def _proposal(authority: Authority, draft: Draft) -> bool:
    del authority, draft
    return False


_JUDGES: Final[Mapping[str, Callable[[Authority, Draft], bool]]] = {
    OPERATOR: _operator,
    LICENCE: _licence,
    CLIENT: _client,
    SCOPE_GRANT: _grant,
    SCOPE_DEFINITION: _definition,
    ADMINISTRATION_POLICY: _policy,
    ADMINISTRATOR: _administrator,
    PROPOSAL: _proposal,
    BRAKE: _brake,
    LIMIT: _limit,
    REGION_ADMISSION: _admission,
    RECOGNITION_RULE: _recognition,
    CROSS_BORDER_PROFILE: _profile,
}
