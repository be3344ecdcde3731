"""Whether what a report states is disclosed still, read from real stores."""

from typing import Any

from sqlalchemy import Engine

from creditgate.credit_report import ReportPeriod
from gateway.reports.changes import changed_at
from gateway.reports.model import IssuedReport
from gateway.storage.engines import reading
from tests.clock import NOW
from tests.meter.world import Disclosure, admitted, company
from tests.reports.kept import ITEM, kept

LATER = NOW + 10


def looked_up(engine: Engine, report: IssuedReport, now: int = LATER) -> int | None:
    """Return since when a report does not state what is disclosed."""
    with reading(engine) as connection:
        return changed_at(connection, report, now)


def stating(*sequences: int, **changes: Any) -> IssuedReport:
    """Return a report of all there is of company 1, which is these revisions."""
    head = max(sequences, default=0)
    usual: dict[str, Any] = {
        "subject": company(1),
        "stated": sequences,
        "disclosure_sequence": head,
    }
    return kept(**usual | changes)


def test_it_holds_while_nothing_changes_and_whatever_becomes_of_others(
    records_engine: Engine,
) -> None:
    disclosure = Disclosure(records_engine)
    report = stating(*disclosure.publish(admitted("r-1"), admitted("r-2")))
    disclosure.publish(admitted("r-3", 2), admitted("r-4", item="licence.other"))
    assert looked_up(records_engine, report) is None


def test_a_correction_ends_it(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    report = stating(*disclosure.publish(admitted("r-1")))
    disclosure.correct(admitted("r-1", content=b'{"about":"y"}'))
    assert looked_up(records_engine, report) == NOW


def test_a_repair_ends_it(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    report = stating(*disclosure.publish(admitted("r-1"), admitted("r-2")))
    disclosure.repair("r-2")
    assert looked_up(records_engine, report) == NOW


def test_a_new_record_ends_the_statement_that_there_is_none(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    report = stating()
    assert looked_up(records_engine, report) is None
    disclosure.publish(admitted("r-1"))
    assert looked_up(records_engine, report) == NOW


def test_a_record_whose_time_comes_or_ends_does_too(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    disclosure.publish(admitted("coming", disclosed_from=NOW + 5))
    absent = stating(disclosure_sequence=1)
    assert looked_up(records_engine, absent, NOW + 4) is None
    assert looked_up(records_engine, absent, NOW + 5) == NOW + 5
    going = stating(*disclosure.publish(admitted("going", 2, disclosed_until=NOW + 7)))
    going = going._replace(subject=company(2))
    assert looked_up(records_engine, going, NOW + 6) is None
    assert looked_up(records_engine, going, NOW + 7) == NOW + 7


def test_what_is_outside_its_period_changes_nothing(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    past = stating(period=ReportPeriod.model_validate({"until": NOW - 1_000}))
    disclosure.publish(admitted("r-1", disclosed_from=NOW - 100))
    assert looked_up(records_engine, past) is None
    disclosure.publish(admitted("r-2", disclosed_from=NOW - 2_000))
    assert looked_up(records_engine, past) == NOW


def test_what_was_withheld_changes_nothing_by_staying(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    (stated, _) = disclosure.publish(admitted("r-1"), admitted("r-2", region="330000"))
    assert looked_up(records_engine, stating(stated, disclosure_sequence=2)) is None


def test_what_a_report_need_not_state_does_not_end_it(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    far, near = "330000", "110100"
    (stated, *_) = disclosure.publish(
        admitted("r-1", region=near), admitted("r-2", region=far), admitted("r-3", region=far)
    )
    regions = {ITEM: frozenset({"11"})}
    report = stating(stated, disclosure_sequence=3, regions=regions)
    disclosure.correct(admitted("r-2", content=b'{"about":"y"}', region=far))
    disclosure.repair("r-3")
    disclosure.publish(admitted("r-4", region=far))
    assert looked_up(records_engine, report) is None
    assert looked_up(records_engine, report._replace(regions={"other": regions[ITEM]})) == NOW
    disclosure.publish(admitted("r-5", region=near))
    assert looked_up(records_engine, report) == NOW


def test_a_report_of_hundreds_of_records_is_looked_up_whole(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    report = stating(*disclosure.publish(*(admitted(f"r-{number}") for number in range(1_200))))
    assert looked_up(records_engine, report) is None
    disclosure.repair("r-1100")
    assert looked_up(records_engine, report) == NOW


def test_items_are_told_apart(records_engine: Engine) -> None:
    disclosure = Disclosure(records_engine)
    report = stating(*disclosure.publish(admitted("r-1")), items=(ITEM, "list.one"))
    disclosure.publish(admitted("r-2", item="list.two"))
    assert looked_up(records_engine, report) is None
    disclosure.publish(admitted("r-3", item="list.one"))
    assert looked_up(records_engine, report) == NOW
