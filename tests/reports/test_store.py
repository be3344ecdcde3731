"""Reports in real stores: one for each request, forgotten when over, taken back for good."""

from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine

from creditgate.credit_report import ReportPeriod
from creditgate.refusal import Refused
from gateway.reports.store import PAGE, SWEEP_SECONDS, SqlReports
from gateway.storage.engines import Engines
from tests.clock import NOW
from tests.reports.kept import kept, report_id


@pytest.fixture
def engine(engines: Engines) -> Engine:
    """The store of evidence."""
    return engines.evidence


@pytest.fixture
def reports(engine: Engine) -> SqlReports:
    """An empty store of reports."""
    return SqlReports(engine)


@pytest.mark.parametrize("bounds", [{}, {"from": 10}, {"until": 20}, {"from": 10, "until": 20}])
def test_a_report_is_kept_as_it_was_issued(reports: SqlReports, bounds: dict[str, int]) -> None:
    report = kept(stated=(3, 2**40), period=ReportPeriod.model_validate(bounds), items=("a", "b"))
    report = report._replace(regions={"a": frozenset({"3301", "11"})})
    reports.add(report)
    assert reports.get(report.report_id) == report
    assert reports.get(report_id(2)) is None


def test_of_two_that_answer_one_request_at_once_the_first_is_kept(
    reports: SqlReports, engine: Engine
) -> None:
    start, made = Barrier(2), list[str]()

    def add(number: int) -> None:
        start.wait()
        report = kept(number, request_id="request")
        made.append(SqlReports(engine).add(report).report_id)

    threads = [Thread(target=add, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 2
    assert len(set(made)) == 1
    found = reports.requested("operators/alpha", "request", b"digest")
    assert found is not None
    assert [found.report_id] == list(set(made))


def test_a_request_id_is_the_requesters_own_and_for_one_request(reports: SqlReports) -> None:
    reports.add(kept(request_id="request"))
    assert reports.requested("operators/beta", "request", b"other") is None
    with pytest.raises(Refused):
        reports.requested("operators/alpha", "request", b"other")


def test_a_report_taken_back_stays_so_and_its_document_is_forgotten(reports: SqlReports) -> None:
    report = reports.add(kept())
    first = reports.revoke(report.report_id, "alpha-one", "Invented", NOW + 5)
    again = reports.revoke(report.report_id, "alpha-two", "Invented", NOW + 9)
    assert first == again == report._replace(document="", revoked_at=NOW + 5)
    assert reports.revoke(report_id(9), "alpha-one", "Invented", NOW) is None


def test_documents_are_forgotten_once_their_reports_are_over(reports: SqlReports) -> None:
    over, lasting = kept(1, expires_at=NOW + 60), kept(2)
    for report in (over, lasting):
        reports.add(report)
    reports.add(kept(3, issued_at=NOW + SWEEP_SECONDS, expires_at=NOW + 2 * SWEEP_SECONDS))
    assert reports.get(over.report_id) == over._replace(document="")
    assert reports.get(lasting.report_id) == lasting


def test_a_subjects_reports_are_listed_newest_first_page_by_page(reports: SqlReports) -> None:
    mine = [kept(number, issued_by="subjects/mine") for number in range(PAGE + 3)]
    for report in (*mine, kept(90)):
        reports.add(report)
    subject = mine[0].subject

    first = reports.issued_by("subjects/mine", subject)
    rest = reports.issued_by("subjects/mine", subject, before=first[-1].report_id)

    assert [*first, *rest] == mine[::-1]
    assert reports.issued_since("subjects/mine", subject, NOW - 1) == len(mine)
    assert reports.issued_since("subjects/mine", subject, NOW) == 0
