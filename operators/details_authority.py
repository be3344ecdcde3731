"""Whether authorization details ask for more than licences and grants allow. Pure.

Asked where tokens are issued, so that a client learns at once, with a pointer, what it
cannot have; at every call the decision is taken anew (`operators.rules`).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from creditgate.v1.refusal_pb2 import RefusalReason
from operators.authority import Authority
from operators.authorization_details import (
    PURPOSE_NAMES,
    AuthorizationDetail,
    DetailPeriod,
)
from operators.decision import Allow, Ask
from operators.rules import decide
from operators.shapes import covers

SCOPE: Final = "credit.records:read"
"""The scope that details of the type narrow."""


class FieldFault(NamedTuple):
    """What a detail asks for in vain: the field, one value of it where that is to blame,
    and the mend."""

    field: str
    value: str | None
    mend: str


def fault_of(
    authority: Authority,
    client_id: str,
    token_scopes: frozenset[str],
    detail: AuthorizationDetail,
    now: int,
) -> FieldFault | None:
    """Return the first thing for which a token would carry ``detail`` in vain; None: nothing.

    ``token_scopes`` are the scopes the token would have; times are in seconds, UTC. Every
    purpose, item and region that is named must be allowed with all others that are; what
    is left out must be allowed for at least one value.
    """
    if detail.period.until <= now:
        return FieldFault("period/until", None, "the period is over already")
    # A detail may begin later: what it asks for is looked at as of now.
    standing = detail.model_copy(update={"period": DetailPeriod()})
    ask = Ask(client_id, SCOPE, token_scopes, detail.items, 0, standing)
    named = [number for number, name in PURPOSE_NAMES.items() if name in detail.purposes]
    faults: list[FieldFault] = []
    for purpose in named or PURPOSE_NAMES:
        fault = _fault_for(authority, ask._replace(purpose=purpose), now)
        if fault is None and not named:
            return None
        if fault is not None:
            faults.append(fault)
    # Of the purposes left open, the one that came furthest tells what is wrong.
    return max(faults, key=_stage, default=None)


def _fault_for(authority: Authority, ask: Ask, now: int) -> FieldFault | None:
    decision = decide(authority, ask, now)
    if isinstance(decision, Allow):
        return _regions_fault(decision, ask)
    match decision.reason:
        case RefusalReason.REFUSAL_REASON_PURPOSE_NOT_ALLOWED:
            name = PURPOSE_NAMES[ask.purpose]
            named = ask.detail is not None and name in ask.detail.purposes
            return FieldFault(
                "purposes", name if named else None, "the licence or the grants lack this purpose"
            )
        case RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED:
            culprit = _culprit(authority, ask, decision.reason, now)
            return FieldFault(
                "items", culprit, "no licence and grant allow this item for the purposes asked for"
            )
        case RefusalReason.REFUSAL_REASON_REGION_NOT_ALLOWED:
            return FieldFault("regions", None, "the licence and the grants allow none of these")
        case _:
            return FieldFault("type", None, f"the type needs the scope {SCOPE} and a licence")


def _culprit(
    authority: Authority, ask: Ask, reason: RefusalReason.ValueType, now: int
) -> str | None:
    """Return an item that is refused on its own; None where only all together are."""
    for item in sorted(ask.items):
        decision = decide(authority, ask._replace(items=frozenset({item})), now)
        if not isinstance(decision, Allow) and decision.reason == reason:
            return item
    return None


def _regions_fault(allow: Allow, ask: Ask) -> FieldFault | None:
    assert ask.detail is not None
    allowed = allow.regions_by_item.values()
    tell = all if ask.items else any
    for region in sorted(ask.detail.regions):
        if not tell(covers(regions, region) for regions in allowed):
            return FieldFault(
                "regions", region, "the licence and the grants do not allow all of this region"
            )
    return None


_STAGES: Final[Sequence[str]] = ("type", "purposes", "items", "regions")


def _stage(fault: FieldFault) -> int:
    return _STAGES.index(fault.field)
