"""Classes in time: a change acts from some second on, never on use before it."""

from creditgate.rating.prices import PriceBook
from creditgate.rating.terms import cuts, terms
from gateway.settle.classes import ClassBook, class_start
from gateway.settle.shares import SharingBook
from operators.log import Change, Draft
from tests.settle.drawn import item_change, operator_change


def test_a_change_of_class_acts_from_its_second_on() -> None:
    book = ClassBook.empty().advanced(
        [
            item_change(1, "penalty", "basic", 10),
            operator_change(2, "", 10),
            item_change(3, "penalty", "extra", 20),
            operator_change(4, "bank", 20),
        ]
    )
    assert [book.price_class("penalty", at) for at in (9, 10, 19, 20)] == [
        "",
        "basic",
        "basic",
        "extra",
    ]
    assert [book.standing("alpha", at) for at in (9, 10, 19, 20)] == [
        ("", False),
        ("", True),
        ("", True),
        ("bank", True),
    ]


def test_a_change_acts_from_the_later_instant_that_the_log_tells_before_it() -> None:
    changes = [
        operator_change(1, "", 10),
        item_change(2, "penalty", "basic", 10),
        _start(3, "operator", "alpha", 25),
        operator_change(4, "bank", 20),
        _start(5, "catalogue_item", "penalty", 30),
        item_change(6, "penalty", "extra", 20),
    ]
    whole, stepwise = ClassBook.empty().advanced(changes), ClassBook.empty()
    for change in changes:
        stepwise = stepwise.advanced([change])
    for book in (whole, stepwise):
        assert [book.standing("alpha", at).operator_class for at in (20, 24, 25)] == [
            "",
            "",
            "bank",
        ]
        assert [book.price_class("penalty", at) for at in (20, 29, 30)] == ["basic"] * 2 + ["extra"]


def _start(sequence: int, kind: str, id_: str, at: int) -> Change:
    draft = class_start(Draft(kind, id_, 1, {}), at)
    return Change(sequence, draft.kind, draft.id, 1, draft.document, "admin", 0, "test")


def test_a_revoked_operator_keeps_its_class_and_no_longer_stands() -> None:
    book = ClassBook.empty().advanced(
        [operator_change(1, "bank", 10), operator_change(2, "bank", 30, "REVOKED")]
    )
    assert book.standing("alpha", 30) == ("bank", False)


def test_a_suspended_operator_stands() -> None:
    book = ClassBook.empty().advanced([operator_change(1, "bank", 10, "SUSPENDED")])
    assert book.standing("alpha", 10) == ("bank", True)


def test_folding_in_steps_gives_the_same_book() -> None:
    changes = [
        item_change(1, "penalty", "basic", 10),
        item_change(2, "penalty", "extra", 20),
        operator_change(3, "bank", 15),
    ]
    whole = ClassBook.empty().advanced(changes)
    stepwise = ClassBook.empty()
    for change in changes:
        stepwise = stepwise.advanced([change])
    for at in range(30):
        assert stepwise.price_class("penalty", at) == whole.price_class("penalty", at)
        assert stepwise.standing("alpha", at) == whole.standing("alpha", at)
    assert whole.advanced([]) is whole


def test_a_version_written_by_a_clock_set_back_still_comes_after_the_one_before() -> None:
    book = ClassBook.empty().advanced(
        [item_change(1, "penalty", "basic", 20), item_change(2, "penalty", "extra", 10)]
    )
    assert book.price_class("penalty", 19) == ""
    assert book.price_class("penalty", 20) == "extra"


def test_a_month_is_cut_where_a_class_changes_and_spans_only_where_the_operator_does() -> None:
    book = ClassBook.empty().advanced(
        [
            item_change(1, "penalty", "basic", 0),
            item_change(2, "penalty", "extra", 300),
            operator_change(3, "", 0),
            operator_change(4, "bank", 600),
            operator_change(5, "bank", 700, operator_id="beta"),
        ]
    )
    prices, sharing = PriceBook.empty(), SharingBook.empty()
    assert cuts("alpha", 0, 1_000, prices, sharing.rules, book) == (0, 300, 600)
    spans = [span for t in terms("alpha", 0, 1_000, prices, book) for span in t.spans]
    found = [(span.from_, span.until, span.operator_class) for span in spans]
    assert found == [(0, 600, ""), (600, 1_000, "bank")]
