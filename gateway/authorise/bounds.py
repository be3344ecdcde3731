"""Bounds: what a call may take whose token carries authorization details (RFC 9396).

Every subject is served under one detail: the first, in the token's order, that covers
it and allows what is asked. Details never add up, though an operator's licences do.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, NamedTuple, Protocol

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authorise.gate import Gate, Passage, open_items
from gateway.authorise.resting import resting
from gateway.authority.view import AuthorityView
from gateway.disclose.model import Line, LiveRevision
from operators.authorization_details import TYPE, AuthorizationDetail
from operators.decision import Allow, Ask, UnderLicence
from operators.shapes import common_regions

Details = tuple[AuthorizationDetail, ...]
# Of several refusals, the one that came furthest is given; others rank last.
_STAGES: Final = (
    RefusalReason.REFUSAL_REASON_DETAILS_NOT_IN_FORCE,
    RefusalReason.REFUSAL_REASON_PURPOSE_NOT_ALLOWED,
    RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
    RefusalReason.REFUSAL_REASON_REGION_NOT_ALLOWED,
)


class Ground(NamedTuple):
    """What is decided on: one view, the revenue lines known, one instant (seconds UTC)."""

    view: AuthorityView
    lines: Mapping[int, Line]
    now: int


class Bounds(Protocol):
    """What a call may take.

    ``passage`` is good for what is decided before anything is looked up.
    """

    @property
    def passage(self) -> Passage:
        """All that any part of the call may take."""
        ...

    def applied(self, found: Sequence[LiveRevision]) -> tuple[Passage, Sequence[LiveRevision]]:
        """Return what was found within the bounds, and the passage it is served by.

        Revisions of a revenue line not known yet are left in.
        """
        ...

    def of(self, subject: str) -> Passage:
        """Return the passage that one of the subjects named is served by."""
        ...


def covering(details: Details, subject: str, consent: str) -> Details:
    """Return the details under which ``subject`` may be asked about, relying on ``consent``.

    Raises Refused SUBJECT_NOT_ALLOWED or CONSENT_REQUIRED; neither tells whether the
    subject exists.
    """
    about = tuple(detail for detail in details if detail.covers_subject(subject))
    if not about:
        raise Refused(
            RefusalReason.REFUSAL_REASON_SUBJECT_NOT_ALLOWED,
            "A subject asked for is outside the token's authorization details; ask for a token"
            " that covers it.",
        )
    return _relying(about, consent)


def within(details: Details, regions: Iterable[str]) -> Details:
    """Return ``details`` within ``regions``, which are some: with no details, one for them alone.

    Raises Refused REGION_NOT_ALLOWED where no detail shares any of them.
    """
    asked = frozenset(regions)
    if not details:
        return (AuthorizationDetail(type=TYPE, regions=asked),)
    narrowed = tuple(
        detail.model_copy(update={"regions": shared})
        for detail in details
        if (shared := common_regions(detail.regions, asked) if detail.regions else asked)
    )
    if not narrowed:
        raise Refused(
            RefusalReason.REFUSAL_REASON_REGION_NOT_ALLOWED,
            "The token's authorization details share none of the regions asked for.",
        )
    return narrowed


def subject_bounds(
    gate: Gate, ground: Ground, ask: Ask, details: Details, subjects: Sequence[str], consent: str
) -> "SubjectBounds":
    """Return the bounds of a call for ``subjects``.

    Raises Refused with the reasons of `covering` and `Gate.passage`.
    """
    chosen: dict[Details, Passage] = {}
    passages: dict[str, Passage] = {}
    for subject in subjects:
        candidates = covering(details, subject, consent)
        if candidates not in chosen:
            chosen[candidates] = _first(gate, ground, ask, candidates)
        passages[subject] = chosen[candidates]
    return SubjectBounds(_joined(tuple(chosen.values())), passages)


def record_bounds(
    gate: Gate, ground: Ground, ask: Ask, details: Details, consent: str
) -> "RecordBounds":
    """Return the bounds of a call for one record, whose subject is not known yet.

    Raises as `subject_bounds`, without SUBJECT_NOT_ALLOWED.
    """
    passing: list[tuple[AuthorizationDetail, Passage]] = []
    refusals: list[Refused] = []
    for detail in _relying(details, consent):
        try:
            passing.append((detail, _first(gate, ground, ask, (detail,))))
        except Refused as refused:
            refusals.append(refused)
    if not passing:
        raise max(refusals, key=_stage)
    return RecordBounds(_joined([passage for _, passage in passing]), passing)


@dataclass(frozen=True, slots=True)
class SubjectBounds:
    """Bounds of a call for subjects that it names; see `Bounds`."""

    passage: Passage
    passages: Mapping[str, Passage]

    def applied(self, found: Sequence[LiveRevision]) -> tuple[Passage, Sequence[LiveRevision]]:
        """As `Bounds.applied`."""
        return self.passage, [row for row in found if _lets(self.passages[row[0]], row)]

    def of(self, subject: str) -> Passage:
        """As `Bounds.of`."""
        return self.passages[subject]


@dataclass(frozen=True, slots=True)
class RecordBounds:
    """Bounds of a call for one record; see `Bounds`. It names no subject."""

    passage: Passage
    passing: Sequence[tuple[AuthorizationDetail, Passage]]

    def applied(self, found: Sequence[LiveRevision]) -> tuple[Passage, Sequence[LiveRevision]]:
        """As `Bounds.applied`: under the first detail that lets the record through."""
        for detail, passage in self.passing:
            if found and all(
                detail.covers_subject(row[0]) and _lets(passage, row) for row in found
            ):
                return passage, found
        return self.passing[0][1], ()

    def of(self, subject: str) -> Passage:
        """As `Bounds.of`: whoever the record is of."""
        del subject
        return self.passage


def _relying(details: Details, consent: str) -> Details:
    relying = tuple(detail for detail in details if detail.consent in (None, consent))
    if not relying:
        raise Refused(
            RefusalReason.REFUSAL_REASON_CONSENT_REQUIRED,
            "The token's authorization details rest on a consent; name that consent in the call.",
        )
    return relying


def _first(gate: Gate, ground: Ground, ask: Ask, candidates: Details) -> Passage:
    refusals: list[Refused] = []
    for detail in candidates:
        try:
            return gate.passage(ground.view, ground.lines, ask._replace(detail=detail), ground.now)
        except Refused as refused:
            refusals.append(refused)
    raise max(refusals, key=_stage)


def _lets(passage: Passage, row: LiveRevision) -> bool:
    # By position: stores give rows as plain tuples in this order.
    line_no = row[2]
    return line_no in passage.prices or line_no not in passage.lines


def _stage(refused: Refused) -> int:
    return _STAGES.index(refused.reason) if refused.reason in _STAGES else len(_STAGES)


def _joined(passages: Sequence[Passage]) -> Passage:
    """Return what any of the passages lets through, standing while all of them stand."""
    first = passages[0]
    if len(passages) == 1:
        return first
    prices = dict(chain.from_iterable(passage.prices.items() for passage in passages))
    allows = [passage.allow for passage in passages]
    items = frozenset[str]().union(*(open_items(first.view, allow) for allow in allows))
    return replace(
        first,
        allow=replace(
            first.allow,
            items=first.allow.items.union(*(allow.items for allow in allows)),
            licences=_licences(allows),
            stands_until=min(allow.stands_until for allow in allows),
            regions_by_item=_regions(allow.regions_by_item for allow in allows),
        ),
        prices=prices,
        priced=all(passage.priced for passage in passages),
        consent_items=first.consent_items.union(*(each.consent_items for each in passages)),
        consent_lines=first.consent_lines.union(*(each.consent_lines for each in passages)),
        stopped=first.stopped.union(*(each.stopped for each in passages)),
        resting=resting(allows, first.lines, prices, items),
    )


def _licences(allows: Iterable[Allow]) -> tuple[UnderLicence, ...]:
    """Return the licences of any, by number, each with all that any has of it."""
    found: dict[str, UnderLicence] = {}
    for allow in allows:
        for licence in allow.licences:
            before = found.get(licence.number, licence)
            found[licence.number] = licence._replace(
                regions_by_item=_regions((before.regions_by_item, licence.regions_by_item))
            )
    return tuple(found[number] for number in sorted(found))


def _regions(several: Iterable[Mapping[str, frozenset[str]]]) -> Mapping[str, frozenset[str]]:
    """Return the region codes of each item that any has."""
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for regions_by_item in several:
        for item, regions in regions_by_item.items():
            found[item] |= regions
    return found
