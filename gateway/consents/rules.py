"""What a consent may be asked for and granted for, as the catalogue and licences stand. Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 9: no use
beyond the authorised scope. A consent opens nothing that a licence does not allow, and all its
terms must be within one: so each item may be used for each purpose wherever the subject agreed.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from consent.model import (
    BACKDATED_MEND,
    DAY_SECONDS,
    GRADE,
    LEAST_DATA_LIFE_SECONDS,
    MOST_ANSWER_SECONDS,
    MOST_BACKDATED_SECONDS,
    Consent,
    ConsentItem,
    ConsentTerms,
)
from consent.states import REQUESTED, effective_state
from creditgate.refusal import Violation
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authority.view import AuthorityView
from gateway.catalogue.model import CatalogueBook, CatalogueItem
from operators.model import Licence
from operators.shapes import ALL_REGIONS, STATE_REGION, covers

Obstacle = Literal["over", "operator", "items", "licence"]
"""Why a consent cannot be granted now: it was answered or ran out; its operator may not act;
an item, or a field of it, is not there or needs no consent; no licence covers it all."""

USUAL_ANSWER_SECONDS: Final = 7 * DAY_SECONDS
"""How long a subject may take to answer where the operator says nothing of it."""
MOST_AHEAD_SECONDS: Final = 366 * DAY_SECONDS
"""How long after the request a validity may begin, at most."""

FIRST_LEVEL: Final = frozenset(
    {"11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41",
     "42", "43", "44", "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65", "71",
     "81", "82"}
)  # fmt: skip
"""The first two digits of division codes (GB/T 2260-2007)."""
_INVENTED: Final = "00"
"""GB/T 2260 gives it to no division: those of demonstrations begin with it."""

_ASK_APART: Final = (
    "no single licence of the operator covers all of it; ask for what each covers by a consent of its"
    " own"
)
_ACTIVE: Final = OperatorState.OPERATOR_STATE_ACTIVE


def timing_faults(terms: ConsentTerms, answer_until: int, now: int) -> list[Violation]:
    """Return what is wrong with the times of a request made at ``now`` (seconds, UTC)."""
    found: list[Violation] = []
    if terms.valid_until <= now:
        found.append(Violation("terms.validity.end_time", "name a time to come"))
    if terms.valid_from > now + MOST_AHEAD_SECONDS:
        found.append(Violation("terms.validity.start_time", "begin within a year"))
    if terms.data_life_seconds < LEAST_DATA_LIFE_SECONDS:
        found.append(Violation("terms.data_life", "let copies be kept for an hour at least"))
    if not now < answer_until <= now + MOST_ANSWER_SECONDS:
        found.append(Violation("answer_until", "name a time within the next 30 days"))
    return found


def beginning_faults(terms: ConsentTerms, asked_at: int) -> list[Violation]:
    """Return what is wrong with when terms begin that were first told at ``asked_at`` (seconds,
    UTC): the receipt would say that they held before anybody asked."""
    if terms.valid_from < asked_at - MOST_BACKDATED_SECONDS:
        return [Violation("terms.validity.start_time", BACKDATED_MEND)]
    return []


def terms_faults(
    view: AuthorityView, operator_id: str, terms: ConsentTerms, now: int
) -> list[Violation]:
    """Return what the operator may not ask for at ``now`` (seconds, UTC), by proto field."""
    found = _item_faults(view.catalogue, terms)
    if not all(map(_is_division, terms.regions)):
        found.append(Violation("terms.regions", "name divisions that there are (GB/T 2260)"))
    licences = _licences_in_force(view, operator_id, now)
    if not licences:
        return [*found, Violation("terms", "the operator holds no licence in force")]
    # Of several licences, the one that lacks least tells what is wrong.
    lacking = min((_licence_faults(each, terms) for each in licences), key=len)
    return [*found, *(_apart(fault, licences, terms) for fault in lacking)]


def pinned(catalogue: CatalogueBook, terms: ConsentTerms) -> ConsentTerms:
    """Return ``terms`` with fields named wherever none are.

    All that the catalogue declares now; under answer form GRADE those marked as the result.
    So what is consented to stays what was shown, whatever becomes of the catalogue (G3).
    Items it does not know are left as they are: they cannot be asked for.
    """
    items = tuple(
        each
        if each.fields or (known := catalogue.get(each.item)) is None
        else each.model_copy(
            update={"fields": _openable(known, terms.answer_form), "all_declared": True}
        )
        for each in terms.items
    )
    return terms.model_copy(update={"items": items})


def obstacle(view: AuthorityView, consent: Consent, now: int) -> Obstacle | None:
    """Return why ``consent`` cannot be granted at ``now`` (seconds, UTC); None where it can."""
    if effective_state(consent, 0, now) != REQUESTED:
        return "over"
    operator = view.authority.operators.get(consent.operator_id)
    if operator is None or operator.state != _ACTIVE:
        return "operator"
    if _item_faults(view.catalogue, consent.terms):
        return "items"
    licences = _licences_in_force(view, consent.operator_id, now)
    if all(_licence_faults(licence, consent.terms) for licence in licences):
        return "licence"
    return None


def _is_division(region: str) -> bool:
    return (
        region in (ALL_REGIONS, STATE_REGION)
        or region[:2] in FIRST_LEVEL
        or region.startswith(_INVENTED)
    )


def _item_faults(catalogue: CatalogueBook, terms: ConsentTerms) -> list[Violation]:
    return [
        Violation(f"terms.items[{index}].{field}", mend)
        for index, asked in enumerate(terms.items)
        for field, mend in _faults_of_item(catalogue, asked, terms.answer_form)
    ]


def _faults_of_item(
    catalogue: CatalogueBook, asked: ConsentItem, answer_form: int
) -> Iterable[tuple[str, str]]:
    item = catalogue.get(asked.item)
    if item is None or item.openness != Openness.OPENNESS_CONSENT:
        yield "item", "name a catalogue item of openness CONSENT; ListCatalogueItems lists them"
        return
    openable = _openable(item, answer_form)
    if not openable:
        yield "item", "it has no result to give alone: leave it out or ask for RECORDS"
    elif not asked.fields <= openable:
        yield "fields", "name content fields of the item, or none for all"


def _openable(item: CatalogueItem, answer_form: int) -> frozenset[str]:
    return frozenset(
        field.name for field in item.content_fields if field.result or answer_form != GRADE
    )


def _licences_in_force(view: AuthorityView, operator_id: str, now: int) -> list[Licence]:
    held = view.authority.licences_of.get(operator_id, ())
    return [licence for licence in held if licence.in_force(now)]


def _apart(fault: Violation, licences: Sequence[Licence], terms: ConsentTerms) -> Violation:
    """Return a fault of one licence as what it is where another one has what that lacks: an answer
    may rest on several (`gateway.authorise.resting`), a consent is to one."""
    has = any(
        fault.field not in {each.field for each in _licence_faults(licence, terms)}
        for licence in licences
    )
    return Violation(fault.field, _ASK_APART) if has else fault


def _licence_faults(licence: Licence, terms: ConsentTerms) -> list[Violation]:
    found = [
        Violation(f"terms.items[{index}].item", "the operator's licence does not cover this item")
        for index, asked in enumerate(terms.items)
        if asked.item not in licence.items
    ]
    if not terms.purposes <= licence.purposes:
        found.append(Violation("terms.purposes", "name purposes that the licence allows"))
    if not all(covers(licence.regions, region) for region in terms.regions):
        found.append(Violation("terms.regions", "name regions that the licence covers"))
    return found
