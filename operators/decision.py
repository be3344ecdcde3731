"""What is asked of authority and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from creditgate.v1.refusal_pb2 import RefusalReason

_MOST_REMEMBERED: Final = 8_192


@dataclass(frozen=True, slots=True)
class Ask:
    """May this client take these items, for this purpose, under this scope?

    ``token_scopes`` are those of its access token, ``items`` catalogue item codes
    (empty asks for all that is allowed), ``purpose`` a value of the proto enum Purpose.
    """

    client_id: str
    scope: str
    token_scopes: frozenset[str]
    items: frozenset[str]
    purpose: int


@dataclass(frozen=True, slots=True)
class Allow:
    """It may.

    ``licence`` is the number of the licence it rests on, ``grant_ids`` the grants, in
    order. ``regions_by_item`` tells for each of ``items`` the region codes it is allowed
    in (a code covers those below it, "*" all). ``stands_until`` (seconds UTC) is the
    first instant at which time alone may change the answer.
    """

    operator_id: str
    licence: str
    items: frozenset[str]
    daily_record_quota: int
    grant_ids: tuple[str, ...]
    stands_until: int
    regions_by_item: Mapping[str, frozenset[str]] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may not, and why."""

    reason: RefusalReason.ValueType
    message: str


class DecisionMemory:
    """Decisions of one state of authority, each good for the period [made_at, until).

    Bounded: when full it forgets everything.
    """

    def __init__(self) -> None:
        self._decisions: dict[Ask, tuple[int, int, Allow | Refuse]] = {}

    def recall(self, ask: Ask, now: int) -> Allow | Refuse | None:
        """Return the decision on ``ask`` if one made earlier is still good at ``now``."""
        known = self._decisions.get(ask)
        if known is not None and known[0] <= now < known[1]:
            return known[2]
        return None

    def keep(self, ask: Ask, decision: Allow | Refuse, made_at: int, until: int) -> None:
        """Remember the decision on ``ask`` for [made_at, until)."""
        if len(self._decisions) >= _MOST_REMEMBERED:
            self._decisions.clear()
        self._decisions[ask] = (made_at, until, decision)
