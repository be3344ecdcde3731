"""What is to be proved of a call's subjects: items, and whether they can be. Pure."""

from collections.abc import Sequence
from typing import Final

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authorise.bounds import Bounds
from gateway.authorise.gate import Passage
from gateway.authorise.opening import Opening
from gateway.transparency.map_sets import SubjectAsk
from operators.shapes import ALL_REGIONS

_MOST_REMEMBERED: Final = 4_096
_NOT_EVERYWHERE: Final = Violation(
    "proof",
    "COMPLETE over an item that needs consent takes a licence, a grant and a consent for all"
    " regions; ask for INCLUSION, or leave the item or the consent out",
)


class NotEverywhere(Refused):
    """COMPLETE is asked for over an item that needs consent, and what opens it does not hold in
    all regions: INVALID_REQUEST."""

    def __init__(self) -> None:
        told = invalid(_NOT_EVERYWHERE)
        super().__init__(told.reason, told.message, violations=told.violations)


class ProofAsks:
    """Tells what to prove; remembers the public items of passages (bounded)."""

    def __init__(self) -> None:
        self._remembered: dict[Passage, frozenset[str]] = {}

    def of(
        self,
        subjects: Sequence[str],
        passage: Passage,
        bounds: Bounds | None,
        opening: Opening | None,
    ) -> list[SubjectAsk]:
        """Return what to prove of each subject: all items that it is served of.

        Raises Refused INVALID_REQUEST where an item that needs consent is not open in all
        regions, whatever there is of it: what is left out of its set cannot be told (G11).
        """
        asks: list[SubjectAsk] = []
        for subject in subjects:
            own = passage if bounds is None else bounds.of(subject)
            protected: list[str] = []
            if opening is not None and subject == opening.subject:
                protected = sorted(own.consent_items & opening.what.masks.keys())
                _require_everywhere(own, opening, protected)
            # Where no items are named, what is not covered is told of too: as withheld.
            public = self._public(own) if own.items_named else None
            asks.append(SubjectAsk(subject, public or None, not own.items_named, protected))
        return asks

    def _public(self, passage: Passage) -> frozenset[str]:
        items = self._remembered.get(passage)
        if items is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            items = self._remembered[passage] = frozenset(
                code for code in passage.allow.items if _is_public(passage, code)
            )
        return items


def _is_public(passage: Passage, code: str) -> bool:
    # Of an item that is in no catalogue nothing is disclosed, and that is public.
    item = passage.view.catalogue.get(code)
    return item is None or item.openness == Openness.OPENNESS_PUBLIC


def _require_everywhere(passage: Passage, opening: Opening, items: Sequence[str]) -> None:
    if items and not (
        ALL_REGIONS in opening.what.regions
        and all(ALL_REGIONS in passage.allow.regions_by_item[item] for item in items)
    ):
        raise NotEverywhere
