"""What a consent opens of a passage: items, regions, and the fields of each. Pure.

Source: Personal Information Protection Law, article 6 (no more than the purpose needs), and
`consent.rules` for when a consent holds and why not.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from consent.model import Consent
from consent.relied import Relied
from consent.rules import ConsentAsk, Cover, Gap, cover
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authorise.gate import Passage
from gateway.authorise.stopping import braked
from gateway.disclose.model import LiveRevision
from operators.brakes import Stop
from operators.shapes import covers

_R = RefusalReason
_MOST_REMEMBERED: Final = 4_096
# A pause ends with the operator's suspension, and is written down a moment later.
_PAUSED_SECONDS: Final = 1
_Alike = tuple[Passage, frozenset[tuple[str, tuple[str, ...]]], frozenset[str], int]
"""A passage, what masks are of each item, the regions, and the data life."""
_EXCEEDED: Final = _R.REFUSAL_REASON_CONSENT_EXCEEDED
_UNKNOWN: Final = Gap(_R.REFUSAL_REASON_CONSENT_UNKNOWN)
_MESSAGES: Final[Mapping[int, str]] = {
    _R.REFUSAL_REASON_CONSENT_EXHAUSTED: (
        "The consent was used up, and its validity is over; ask the subject for another one."
    ),
    _R.REFUSAL_REASON_CONSENT_UNKNOWN: "No such consent was given to this operator.",
    _R.REFUSAL_REASON_CONSENT_NOT_GRANTED: (
        "The subject has not granted this consent; nothing is served under it."
    ),
    _R.REFUSAL_REASON_CONSENT_PAUSED: (
        "The consent is held while the operator is suspended; try again when that has ended."
    ),
    _R.REFUSAL_REASON_CONSENT_REVOKED: (
        "The consent was revoked; copies made under it must be removed. Ask the subject anew."
    ),
    _R.REFUSAL_REASON_CONSENT_EXPIRED: (
        "The consent's validity is over; ask the subject for another one."
    ),
    _R.REFUSAL_REASON_CONSENT_NOT_BEGUN: (
        "The consent's validity has not begun; try again when it has, as RetryInfo tells."
    ),
    _EXCEEDED: (
        "The consent does not cover this call; ask within its terms, or the subject for more."
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """What a live consent opens of a passage.

    ``until`` (seconds, UTC) is the first instant at which time alone ends it, ``what`` is opened,
    which openings alike have in common. What each call looks at stands here and there, not behind
    the consent: thousands of them are more than a processor keeps at hand.
    """

    relied: Relied
    passage: Passage
    until: int
    what: "Opened"
    subject: str = field(init=False)
    begins: int = field(init=False)

    def __post_init__(self) -> None:
        consent = self.relied.consent
        for name, value in (
            ("subject", consent.subject),
            ("begins", consent.terms.valid_from),
        ):
            object.__setattr__(self, name, value)

    def let(
        self, found: Sequence[LiveRevision], closed: Set[int], subjects: Sequence[str] | None
    ) -> Sequence[LiveRevision]:
        """Return what of ``found`` is of none of the lines ``closed`` to calls without consent,
        or is opened; ``subjects`` are those that were asked about."""
        subject, what = self.subject, self.what
        if what.all_of is closed and subjects == (subject,):
            return found
        known, opens = what.known, what.opens
        # By position: stores give rows as plain tuples in this order.
        return [
            row
            for row in found
            if (line_no := row[2]) not in closed
            or (row[0] == subject and (known[line_no] if line_no in known else opens(line_no)))
        ]


class Opened:
    """What consents open of a passage that open the same of it, for the same data life.

    ``masks`` gives for each item opened the names its content is cut to, in order, an
    empty tuple where no content has any other, ``cuts`` those of them that have names, and ``items``
    those items in order. ``life_seconds`` is how long it may be kept. ``known`` tells of the revenue
    lines that were asked for whether they are opened; ``all_of`` are the lines of consent of the
    passage where every one of them is, else None.
    """

    def __init__(
        self,
        passage: Passage,
        masks: Mapping[str, tuple[str, ...]],
        regions: frozenset[str],
        life_seconds: int,
    ) -> None:
        self.masks = masks
        self.cuts = {item: names for item, names in masks.items() if names}
        self.items = tuple(sorted(masks))
        self.life_seconds = life_seconds
        self._lines = passage.lines
        self.regions = regions
        self.known: dict[int, bool] = {}
        closed = passage.consent_lines
        self.all_of = closed if all(map(self.opens, closed)) else None

    def opens(self, line_no: int) -> bool:
        """Tell whether a line is opened."""
        line = self._lines[line_no]
        opens = line.item in self.masks and covers(self.regions, line.region)
        self.known[line_no] = opens
        return opens


class Openings:
    """Opens passages by consents; remembers what was opened (bounded)."""

    def __init__(self) -> None:
        # By the consent's name.
        self._remembered: dict[str, Opening] = {}
        self._alike: dict[_Alike, Opened] = {}

    def remembered(
        self, name: str, passage: Passage, subjects: Sequence[str] | None, now: int
    ) -> Opening | None:
        """Return as `opening` what a consent named, when last it was read and granted, opens; None
        where it has to be read. As of a consent remembered (`gateway.authorise.consents`), what it
        tells is good for serving only together with the ledger.

        A passage is of one ask, and so for one purpose."""
        opening = self._remembered.get(name)
        if (
            opening is not None
            and opening.passage is passage
            and opening.begins <= now < opening.until
            and not opening.relied.exhausted
            and (subjects is None or opening.subject in subjects)
        ):
            return opening
        return None

    def forget(self, name: str) -> None:
        """Have a consent read anew when it is named next."""
        self._remembered.pop(name, None)

    def opening(
        self,
        consent: Consent | None,
        passage: Passage,
        subjects: Sequence[str] | None,
        purpose: int,
        now: int,
    ) -> Opening:
        """Return what ``consent`` opens at ``now`` (seconds, UTC) of ``passage``.

        ``consent`` None is one that is not known; ``subjects`` None where the record asked
        for has yet to tell whose it is. Raises Refused with the reason of
        `consent.rules.cover`.
        """
        if consent is None:
            raise gap_refusal(_UNKNOWN)
        subject, name = consent.subject, consent.name
        if subjects is not None and subject not in subjects:
            subject = subjects[0]
        else:
            remembered = self.remembered(name, passage, subjects, now)
            if remembered is not None and remembered.relied.consent is consent:
                return remembered
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        opening = self._opening(consent, passage, subject, purpose, now)
        self._remembered[name] = opening
        return opening

    def _opening(
        self, consent: Consent, passage: Passage, subject: str, purpose: int, now: int
    ) -> Opening:
        named = passage.consent_items if passage.items_named else frozenset[str]()
        ask = ConsentAsk(passage.allow.operator_id, subject, named, purpose, now)
        covered = cover(consent, ask)
        if isinstance(covered, Gap):
            raise gap_refusal(covered)
        masks = _masks(covered, passage)
        if not named <= masks.keys():
            raise gap_refusal(Gap(_EXCEEDED, "items"))
        regions, life_seconds = covered.regions, consent.terms.data_life_seconds
        alike = passage, frozenset(masks.items()), regions, life_seconds
        what = self._alike.get(alike)
        if what is None:
            if len(self._alike) >= _MOST_REMEMBERED:
                self._alike.clear()
            what = self._alike[alike] = Opened(passage, masks, regions, life_seconds)
        return Opening(Relied.of(consent), passage, covered.until, what)


def require_no_consent(passage: Passage) -> None:
    """Raise Refused CONSENT_REQUIRED where a call without one asks by name for an item
    that needs one."""
    if passage.items_named and passage.consent_items:
        raise Refused(
            _R.REFUSAL_REASON_CONSENT_REQUIRED,
            "An item asked for is served only under the subject's live consent; name the"
            " consent, or ask the subject for one.",
        )


def require_alone(passage: Passage, subjects: Sequence[str]) -> None:
    """Raise Refused CONSENT_EXCEEDED where items that need consent are asked for by name,
    of others than the one subject who gave it."""
    if passage.items_named and passage.consent_items and len(subjects) > 1:
        raise gap_refusal(Gap(_EXCEEDED, "subject"))


def require_none_stopped(passage: Passage, opening: Opening | None) -> None:
    """Raise Refused EMERGENCY_BRAKE where an item that may be in the answer is stopped.

    Whatever is found: an answer without the item would look complete, and a refusal only
    where records are would tell who has some (G11).
    """
    if not passage.stopped:
        return
    opens = frozenset(opening.what.masks) if opening is not None else frozenset[str]()
    stopped = passage.stopped - (passage.consent_items - opens)
    if stopped:
        raise braked(Stop("ITEM", stopped))


def opened(
    passage: Passage,
    found: Sequence[LiveRevision],
    opening: Opening | None,
    subjects: Sequence[str] | None,
) -> Sequence[LiveRevision]:
    """Return what of ``found`` needs no consent or is opened by one; ``subjects`` are those that were
    asked about, None where a record was."""
    closed = passage.consent_lines
    if not closed:
        return found
    if opening is None:
        return [row for row in found if row[2] not in closed]
    return opening.let(found, closed, subjects)


def _masks(covered: Cover, passage: Passage) -> dict[str, tuple[str, ...]]:
    # By the fields named in the consent, whatever the catalogue has become: what it declares
    # since was never consented to. An item without any opens nothing.
    catalogue = passage.view.catalogue
    return {
        item: () if catalogue.ever_declared(item) <= fields else tuple(sorted(fields))
        for item, fields in covered.fields_by_item.items()
        if item in passage.consent_items and fields
    }


def gap_refusal(gap: Gap) -> Refused:
    """Return the refusal of a call under a consent that does not open what is asked."""
    return Refused(
        gap.reason,
        _MESSAGES[gap.reason],
        retry_after=(
            _PAUSED_SECONDS
            if gap.reason == _R.REFUSAL_REASON_CONSENT_PAUSED
            else gap.begins_after or None
        ),
        metadata={"field": gap.field} if gap.field else None,
    )
