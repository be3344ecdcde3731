"""The model that judges gateways finds each kind of fault, and none where all went well."""

from collections.abc import Callable

import pytest

from tests.faults.model import (
    Answer,
    Consent,
    Given,
    History,
    Kept,
    Record,
    Served,
    Span,
    Use,
    faults,
)

PRICE = 10
HOME = "https://two.invalid"
OTHER = "https://three.invalid"


class Told:
    """A record and a consented one, published, asked for, answered and metered without fault."""

    def __init__(self) -> None:
        self.record = Record("r", HOME, "s", "penalty", b"a", Span(0, 1))
        self.consented = Record("c", HOME, "s", "tax", b"b", Span(0, 1))
        self.consent = Consent("consents/1", "s", Span(0, 1))
        self.plain = self._answer("q-1", "", self.record)
        self.relying = self._answer("q-2", "consents/1", self.consented)
        self.history = History(
            PRICE,
            "tax",
            frozenset({HOME, OTHER}),
            {"r": self.record, "c": self.consented},
            {"consents/1": self.consent},
            [self.plain, self.relying],
        )
        uses = [Use(HOME, f"h-{number}", 0, 1, PRICE, 100) for number in (1, 2)]
        self.kept = [Kept(f"q-{number}", use, use.records) for number, use in enumerate(uses, 1)]
        self.served = [Served(use) for use in uses]

    def _answer(self, request_id: str, consent: str, record: Record) -> Answer:
        return Answer(
            *(request_id, ("s",), record.item, consent, Span(10, 11)),
            planned=frozenset({HOME, OTHER}),
            ends={HOME: "ANSWERED", OTHER: "EMPTY"},
            given={HOME: [Given(record.record_id, "s", record.item, record.content)]},
        )

    def faults(self) -> list[str]:
        return faults(self.history, self.kept, self.served)


def test_no_fault_is_found_where_there_is_none() -> None:
    assert Told().faults() == []


def changed_given(told: Told, **fields: object) -> None:
    told.plain.given[HOME] = [told.plain.given[HOME][0]._replace(**fields)]


BREAKS: dict[str, tuple[str, Callable[[Told], object]]] = {
    "content": ("G1:", lambda told: changed_given(told, content=b"x")),
    "region": ("G1:", lambda told: told.plain.given.update({OTHER: told.plain.given.pop(HOME)})),
    "somebody else": ("G3:", lambda told: changed_given(told, subject="t")),
    "item": ("G3:", lambda told: changed_given(told, item="tax")),
    "nobody's": ("G8:", lambda told: changed_given(told, record_id="x")),
    "not yet": ("G2, G9:", lambda told: setattr(told.record, "published", Span(12, 13))),
    "withdrawn": ("G2, G9:", lambda told: setattr(told.record, "ended", Span(2, 3))),
    "no consent": ("G3:", lambda told: setattr(told.relying, "consent", "")),
    "another's consent": ("G3:", lambda told: setattr(told.consent, "subject", "t")),
    "consent to come": ("G3:", lambda told: setattr(told.consent, "given", Span(12, 13))),
    "revoked": ("G4:", lambda told: setattr(told.consent, "revoked", Span(2, 3))),
    "revoked at home": (
        "G4:",
        lambda told: told.served.append(Served(told.served.pop().use, consent_stood=False)),
    ),
    "kept, not metered": ("G5:", lambda told: told.served.pop()),
    "metered, not kept": ("G5:", lambda told: told.kept.pop()),
    "metered twice": ("G5:", lambda told: told.served.append(told.served[0])),
    "kept twice": ("G5:", lambda told: told.kept.append(told.kept[0])),
    "given twice": ("G5:", lambda told: told.plain.given[HOME].append(told.plain.given[HOME][0])),
    "other fee": (
        "G5:",
        lambda told: told.served.append(
            Served(told.served.pop().use._replace(fee=11)),
        ),
    ),
    "fewer than metered": (
        "G5:",
        lambda told: told.kept.append(
            (last := told.kept.pop())._replace(use=last.use._replace(records=0))
        ),
    ),
    "wrong fee": ("G6:", lambda told: setattr(told.history, "price", 11)),
    "a region is missing": ("G10:", lambda told: told.plain.ends.pop(OTHER)),
    "an end nobody knows": ("G10:", lambda told: told.plain.ends.update({OTHER: "LOST"})),
    "empty, with records": ("G10:", lambda told: told.plain.ends.update({HOME: "EMPTY"})),
    "whole without": ("G10, G12:", lambda told: told.plain.given.clear()),
    "refused oddly": ("G11:", lambda told: setattr(told.plain, "refused", "INTERNAL")),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_kind_of_fault_is_found(name: str) -> None:
    guarantee, break_ = BREAKS[name]
    told = Told()
    break_(told)
    assert any(fault.startswith(guarantee) for fault in told.faults()), told.faults()


def test_what_is_in_doubt_is_no_fault() -> None:
    told = Told()
    # Withdrawn and taken back while it was asked for.
    told.record.ended = told.consent.revoked = Span(10.5, float("inf"))
    assert told.faults() == []
    # Never answered whole: its home region may have metered it.
    told.plain.ends[HOME], told.plain.given = "LATE", {}
    told.kept.pop(0)
    assert told.faults() == []
    # Metered, withdrawn, and then asked for again by the same id.
    last = told.kept.pop()
    told.kept.append(last._replace(given=0))
    told.consented.ended, told.relying.given = Span(2, 3), {}
    assert told.faults() == []
