"""ScopeService: OAuth scopes as managed objects, and what takes a second person."""

from gateway.administration.policy import Policy
from gateway.administration.proposals import Proposals
from gateway.administration.scope_changes import ScopeChanges
from gateway.administration.scope_definitions import ScopeDefinitions


class ScopeService(ScopeDefinitions, ScopeChanges, Proposals, Policy):
    """Every method of creditgate.v1.ScopeService, over one journal.

    The methods take the request and the authenticated caller, whose scope was checked,
    and raise Refused.
    """
