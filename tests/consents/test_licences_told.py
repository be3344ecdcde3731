"""To a subject each use names the licence it was made under, or all that it may have been."""

from types import SimpleNamespace
from typing import Any

from consent.model import Consent, ConsentItem
from gateway.consents.access_rows import answered_of, entries_of
from tests.clock import NOW
from tests.consent.world import EVALUATION, terms

LINES = "[[1,3,7],[2,1,7]]"
SHARES = '[["L-1",[2,0]],["L-2",[1,1]],["L-3",[]]]'


def answer(licences: str | None, asked_items: str = "") -> Any:
    """Return a row of the ledger, of four records."""
    return SimpleNamespace(
        sequence=1,
        usage_index=0,
        operator_id="alpha",
        client_id="alpha-one",
        request_id="r-1",
        purpose=1,
        licence="L-1",
        licences=licences,
        consent="consents/c-1" if asked_items else "",
        decision_id="d-1",
        served_at=NOW,
        disclosure_sequence=4,
        entry_count=4,
        lines=LINES,
        asked_items=asked_items,
    )


def revision(line_no: int) -> Any:
    """Return a revision of a line."""
    return SimpleNamespace(
        record_id=f"rec-{line_no}",
        revision=1,
        item="penalty",
        source="s",
        region="11",
        line_no=line_no,
    )


def told(row: Any) -> list[str]:
    """Return the licences of what a subject with two of the records is told."""
    revisions = {11: revision(1), 14: revision(2)}
    return [each.licence for each in entries_of(row, [11, 12, 13, 14], revisions, None)]


def test_a_record_has_the_licences_that_bear_its_line() -> None:
    assert told(answer(SHARES)) == ["L-1 L-2", "L-2"]
    assert told(answer("")) == told(answer(None)) == ["L-1", "L-1"]


def test_what_was_looked_for_and_not_found_has_all_licences() -> None:
    item = ConsentItem(item=EVALUATION, fields=frozenset({"grade"}))
    consent = Consent.model_construct(consent_id="c-1", terms=terms(items=(item,)))
    (use,) = entries_of(answer(SHARES, EVALUATION), [], {}, consent)
    assert use.licence == "L-1 L-2 L-3"
    assert answered_of(answer(SHARES, EVALUATION)).licences == ("L-1", "L-2", "L-3")
