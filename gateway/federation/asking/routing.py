"""Routing: which region is asked about which subjects, and why the others are not. Pure.

A subject's home is told by the district its unified social credit code was registered in
(GB 32100-2015, characters 3 to 8, a code of GB/T 2260); where else there may be records of it,
by each region's directory. A region without a directory that can be relied on is asked about
everybody: that costs a question, and a record missed would cost the truth (guarantee G10).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from creditgate.refusal import Refused
from creditgate.v1.federated_record_service_pb2 import NotAskedReason
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.item_mappings import ItemMappings, Translation
from operators.shapes import common_regions, covers

_DISTRICT: Final = slice(2, 8)
ASKED: Final = NotAskedReason.NOT_ASKED_REASON_UNSPECIFIED


class Directory(Protocol):
    """Tells what a region may have public records of."""

    @property
    def made_at(self) -> int:
        """When it was made (seconds, UTC)."""
        ...

    def may_hold(self, subject: str) -> bool:
        """Tell whether there may be public records of ``subject``; no means there were none."""
        ...


class Kept(NamedTuple):
    """What a region was asked first under the id of a retry: it is asked the same again, as long as
    each pair of its items is in force or, where none is any more, for what was charged before.

    Fields as those of `Plan`; ``proof`` is a ProofKind. ``charged`` tells whether the chunk it begins
    with was charged to the operator.
    """

    translation: Translation
    subjects: tuple[int, ...]
    directory_time: int | None
    proof: int
    charged: bool


class Known(NamedTuple):
    """A region as routing knows it: its entity identifier, the division codes it is home of,
    and its directory, None where there is none to rely on."""

    region: str
    codes: tuple[str, ...]
    directory: Directory | None


def _no_doubts() -> bool:
    return False


_NOTHING_KEPT: Final[Mapping[str, Kept]] = MappingProxyType({})


class Question(NamedTuple):
    """What is asked for.

    ``reach`` gives for a subject, by item, the region codes the operator may have it in (a code
    covers those below it, "*" all). ``consented`` are the codes that the consent relied on holds
    in, None where none is: a directory tells of public records alone, so where a consent is
    relied on it decides nothing. ``named`` are the regions to ask, empty for all; ``every``
    passes over directories. ``kept`` is what each region was asked under the same id before.
    ``counted`` are the regions that a use of the consent was counted for, where that limits its
    uses and this is a retry, None where any may be asked.
    ``doubts`` says, each time it is asked, whether a subject that a directory left out is asked
    about all the same.
    """

    subjects: Sequence[str]
    items: tuple[str, ...]
    reach: Callable[[str], Mapping[str, frozenset[str]]]
    consented: frozenset[str] | None
    named: frozenset[str]
    every: bool
    kept: Mapping[str, Kept] = _NOTHING_KEPT
    counted: frozenset[str] | None = None
    doubts: Callable[[], bool] = _no_doubts


class Plan(NamedTuple):
    """What is asked of one region.

    ``subjects`` are indexes into the question's, in order. ``directory_time`` is that of the
    directory that left subjects out, None where none did. ``reach`` are the codes that all of it
    stays within. ``proof`` is the ProofKind that was asked for first, 0 where nothing was.
    ``directory`` is the one that stood, whoever was left out by it; None where it says nothing of
    what is asked for.
    """

    region: str
    not_asked: NotAskedReason.ValueType
    translation: Translation
    subjects: tuple[int, ...] = ()
    directory_time: int | None = None
    reach: frozenset[str] = frozenset()
    proof: int = 0
    directory: Directory | None = None


def planned(regions: Sequence[Known], mappings: ItemMappings, question: Question) -> list[Plan]:
    """Return the plan of every region, in their order."""
    return [_plan(known, mappings, question) for known in regions]


def require_mapped(plan: Plan, mappings: ItemMappings) -> None:
    """Raise Refused ITEM_NOT_MAPPED where an item that a plan asks for is not mapped so any more."""
    if not mappings.holds(plan.region, plan.translation.pairs):
        raise Refused(
            RefusalReason.REFUSAL_REASON_ITEM_NOT_MAPPED,
            "An item stands for no item of the region any more, or for another, by the mapping in"
            " force; ask anew with another request_id.",
        )


def is_home(codes: Sequence[str], subject: str) -> bool:
    """Tell whether a subject is registered in a district of ``codes``."""
    return covers(codes, subject[_DISTRICT])


def _plan(known: Known, mappings: ItemMappings, question: Question) -> Plan:
    kept = question.kept.get(known.region)
    translation = mappings.translated(known.region, question.items)
    mapped = not translation.unmapped
    if kept is not None:
        mapped = kept.charged or mappings.holds(known.region, kept.translation.pairs)
        translation = kept.translation if mapped else translation

    def not_asked(reason: NotAskedReason.ValueType, directory_time: int | None = None) -> Plan:
        return Plan(known.region, reason, translation, directory_time=directory_time)

    if question.named and known.region not in question.named:
        return not_asked(NotAskedReason.NOT_ASKED_REASON_NOT_NAMED)
    if question.counted is not None and known.region not in question.counted:
        return not_asked(NotAskedReason.NOT_ASKED_REASON_CONSENT_USED)
    codes = frozenset(known.codes)
    if question.consented is not None and not common_regions(codes, question.consented):
        return not_asked(NotAskedReason.NOT_ASKED_REASON_OUTSIDE_LICENCE)
    reaches = {
        index: reach
        for index, subject in enumerate(question.subjects)
        if (reach := _common(codes, question.reach(subject), question.items))
    }
    if not reaches:
        return not_asked(NotAskedReason.NOT_ASKED_REASON_OUTSIDE_LICENCE)
    if not mapped:
        return not_asked(NotAskedReason.NOT_ASKED_REASON_ITEMS_UNMAPPED)
    directory = None if question.consented is not None else known.directory
    if kept is not None:
        subjects, made_at = kept.subjects, kept.directory_time
        if not reaches.keys() >= set(subjects):
            # What it was asked may not be had any more.
            return not_asked(NotAskedReason.NOT_ASKED_REASON_OUTSIDE_LICENCE)
    else:
        subjects = tuple(
            index
            for index in reaches
            if directory is None
            or question.every
            or is_home(known.codes, question.subjects[index])
            or directory.may_hold(question.subjects[index])
            or question.doubts()
        )
        left_out = directory is not None and len(subjects) < len(reaches)
        made_at = directory.made_at if directory is not None and left_out else None
    if not subjects:
        return not_asked(NotAskedReason.NOT_ASKED_REASON_NO_SUBJECT, made_at)
    together = codes
    for index in subjects:
        # One token opens the same to all of them: what each may be asked for.
        together = common_regions(together, reaches[index])
    if not together:
        return not_asked(NotAskedReason.NOT_ASKED_REASON_OUTSIDE_LICENCE)
    proof = 0 if kept is None else kept.proof
    return Plan(known.region, ASKED, translation, subjects, made_at, together, proof, directory)


def _common(
    codes: frozenset[str], reach: Mapping[str, frozenset[str]], items: Sequence[str]
) -> frozenset[str]:
    """Return the codes within ``codes`` that every item may be had in; empty where one item may
    be had in none, since the answer would not be what was asked for."""
    common = codes
    for item in items:
        common = common_regions(common, reach.get(item, frozenset()))
    return common
