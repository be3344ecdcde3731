"""What of the disclosure a client may be shown by name: no more than an answer could serve. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from gateway.authenticate.caller import Caller
from gateway.authorise.stopping import require_running
from operators.authority import Authority
from operators.decision import Allow, Ask
from operators.rules import decide, require_licences
from operators.shapes import covers


def shown_to(
    authority: Authority, caller: Caller, subject: str, scope: str, now: int
) -> Callable[[str, str], bool]:
    """Return what tells of an item and a region whether an operator's client may be shown records
    of both about ``subject`` by ``scope``: licence, grants and token open them to it now for some
    purpose of its licences.

    Raises Refused as `operators.rules.require_licences`; EMERGENCY_BRAKE where a brake reaches an
    answer with all of it.
    """
    licences = require_licences(authority, caller.client_id, now)
    purposes = {purpose for licence in licences for purpose in licence.purposes}
    regions = _opened(authority, caller, subject, scope, purposes, now)
    require_running(authority.brakes, caller.operator_id, regions)
    return _by(regions)


def opened_to(
    authority: Authority, caller: Caller, subject: str, scope: str, purpose: int, now: int
) -> Callable[[str, str], bool]:
    """Return what tells of an item and a region whether licence, grants and token open records of
    both about ``subject`` to an operator's client by ``scope``, for ``purpose``."""
    return _by(_opened(authority, caller, subject, scope, (purpose,), now))


def _opened(
    authority: Authority,
    caller: Caller,
    subject: str,
    scope: str,
    purposes: Iterable[int],
    now: int,
) -> Mapping[str, frozenset[str]]:
    about = [detail for detail in caller.details if detail.covers_subject(subject)]
    details = about if caller.details else [None]
    regions: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for purpose in purposes:
        for detail in details:
            ask = Ask(caller.client_id, scope, caller.token_scopes, frozenset(), purpose, detail)
            decision = decide(authority, ask, now)
            if isinstance(decision, Allow):
                for item, those in decision.regions_by_item.items():
                    regions[item] |= those
    return regions


def _by(regions: Mapping[str, frozenset[str]]) -> Callable[[str, str], bool]:
    return lambda item, region: covers(regions.get(item, ()), region)
