"""What is asked of authority and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Generic, NamedTuple, TypeVar

from creditgate.v1.refusal_pb2 import RefusalReason
from operators.authorization_details import AuthorizationDetail

_MOST_REMEMBERED: Final = 8_192
_Question = TypeVar("_Question")
_Decision = TypeVar("_Decision")


class Ask(NamedTuple):
    """May this client take these items, for this purpose, under this scope?

    ``token_scopes`` are those of its access token, ``items`` catalogue item codes
    (empty asks for all that is allowed), ``purpose`` a value of the proto enum Purpose.
    ``detail`` is the one of the token's authorization details that is made use of, None
    when the token has none.
    """

    client_id: str
    scope: str
    token_scopes: frozenset[str]
    items: frozenset[str]
    purpose: int
    detail: AuthorizationDetail | None = None


class UnderLicence(NamedTuple):
    """What one licence lets through of an ask, and the most records a UTC day under it.

    ``regions_by_item`` is as `Allow` has it. ``breadth`` tells how much the licence opens,
    whatever was asked: the smaller, the fewer questions its quota can be kept for.
    """

    number: str
    daily_record_quota: int
    regions_by_item: Mapping[str, frozenset[str]]
    breadth: int


@dataclass(frozen=True, slots=True)
class Allow:
    """It may.

    ``licences`` are those it rests on, by number, each with its share; ``grant_ids`` the
    grants, in order. ``regions_by_item`` tells for each of ``items`` the region codes it is
    allowed in (a code covers those below it, "*" all) by all licences together.
    ``stands_until`` (seconds UTC) is the first instant at which time alone may change the
    answer.
    """

    operator_id: str
    licences: tuple[UnderLicence, ...] = field(hash=False)
    items: frozenset[str]
    grant_ids: tuple[str, ...]
    stands_until: int
    regions_by_item: Mapping[str, frozenset[str]] = field(hash=False)

    @property
    def licence(self) -> str:
        """Number of the first licence it rests on."""
        return self.licences[0].number

    @property
    def daily_record_quota(self) -> int:
        """The most records a UTC day under the first licence it rests on."""
        return self.licences[0].daily_record_quota

    def alone(self) -> "Allow | None":
        """Return the same resting on one licence: of those that open all of it by themselves
        the one with the largest quota, the first of several; None where none does."""
        whole = [each for each in self.licences if each.regions_by_item == self.regions_by_item]
        if not whole:
            return None
        return replace(self, licences=(max(whole, key=lambda each: each.daily_record_quota),))


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may not, and why."""

    reason: RefusalReason.ValueType
    message: str


class Call(NamedTuple):
    """May this client call a method of ``scope``, with a token of ``token_scopes``?"""

    client_id: str
    scope: str
    token_scopes: frozenset[str]


class Remembered(NamedTuple, Generic[_Decision]):
    """A decision good for the period [made_at, until), in seconds UTC."""

    made_at: int
    until: int
    decision: _Decision


class DecisionMemory(Generic[_Question, _Decision]):
    """Decisions of one state of authority. Bounded: when full it forgets everything."""

    def __init__(self) -> None:
        self._remembered: dict[_Question, Remembered[_Decision]] = {}

    def recall(self, question: _Question, now: int) -> Remembered[_Decision] | None:
        """Return the decision made earlier, if it is still good at ``now``."""
        known = self._remembered.get(question)
        if known is not None and known.made_at <= now < known.until:
            return known
        return None

    def keep(self, question: _Question, decision: _Decision, made_at: int, until: int) -> None:
        """Remember a decision for [made_at, until)."""
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[question] = Remembered(made_at, until, decision)
