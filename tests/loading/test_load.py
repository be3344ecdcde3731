"""A load accounts for every row, and run again it changes nothing."""

import asyncio
import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path

import grpc
import pytest

from creditgate.refusal import Refused
from creditgate.v1.disclosure_service_pb2 import PublishRecordsResponse, RejectedRecord
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.catalogue.file import NATIONAL, read_catalogue
from sdk.loading.batches import MOST_DRAFTS, batches
from sdk.loading.draft import DraftMaker
from sdk.loading.feed import FeedBroken
from sdk.loading.load import LoadSummary, Progress, load
from sdk.loading.mapping import ColumnMapping
from sdk.loading.rejects import HEADER
from sdk.loading.rows import SourceRefused
from sdk.loading.sources import open_rows
from sdk.refusals import explain
from tests.loading.files import (
    COLUMNS,
    REGISTRATION,
    company,
    registration,
    write_csv,
    write_parquet,
)
from tests.loading.site import Site

Served = tuple[Site, grpc.aio.Channel]


def away() -> Refused:
    """Return a refusal that trying again may mend."""
    reason = RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE
    return Refused(reason, "away", retry_after=0)


def not_granted() -> Refused:
    """Return a refusal that stays."""
    return Refused(RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED, "not granted")


def wrong_check(number: int) -> list[str]:
    """Return the row of an invented enterprise whose code has a wrong check character."""
    row = registration(number)
    row[1] = row[1][:17] + ("1" if row[1][17] != "1" else "2")
    return row


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a rejects report."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == HEADER
        return list(reader)


def names_in(folder: Path) -> list[str]:
    """Return the names of what a folder holds."""
    return sorted(path.name for path in folder.iterdir())


async def loaded(
    channel: grpc.aio.Channel, source: Path, report: Path, mapping: ColumnMapping | None = None
) -> LoadSummary:
    """Load and return the summary, with the sums checked."""
    steps: list[Progress] = []
    summary = await load(channel, source, mapping, report=report, progress=steps.append, patience=5)
    assert summary.rows == summary.published + summary.unchanged + summary.rejected
    assert len(rows_of(report)) == summary.rejected
    for step in steps:
        assert step.rows == step.published + step.unchanged + step.rejected
    for before, after in pairwise(steps):
        assert all(a <= b for a, b in zip(astuple(before), astuple(after), strict=True))
    # Before the last call the last batch of the last file was read to its end.
    assert {step.read_bytes for step in steps[-2:]} == {steps[-1].total_bytes}
    assert (steps[-1].rows, steps[-1].rejected) == (summary.rows, summary.rejected)
    return summary


async def test_a_second_run_of_a_load_changes_nothing(served: Served, tmp_path: Path) -> None:
    site, channel = served
    rows: list[Sequence[str]] = [registration(number) for number in range(2_300)]
    rows[1_500] = wrong_check(1_500)
    rows[7] = ["too", "short"]
    source = write_csv(tmp_path / "rows.csv", rows)
    first = await loaded(channel, source, tmp_path / "first.csv")
    assert first == LoadSummary(1, 2_300, 2_298, 0, 2, tmp_path / "first.csv")
    head = await asyncio.to_thread(site.store.head)
    second = await loaded(channel, source, tmp_path / "second.csv")
    assert second == LoadSummary(1, 2_300, 0, 2_298, 2, tmp_path / "second.csv")
    assert await asyncio.to_thread(site.store.head) == head == 2_298
    assert rows_of(tmp_path / "first.csv") == rows_of(tmp_path / "second.csv")


async def test_a_second_run_without_rejects_leaves_not_even_a_batch(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    source = write_csv(tmp_path / "x.csv", [registration(number) for number in range(1_200)])
    for published in (1_200, 0, 0):
        summary = await loaded(channel, source, tmp_path / "r.csv")
        assert summary.published == published
        assert await asyncio.to_thread(site.batch_count) == 2


async def test_rejects_are_told_by_file_row_column_and_reason(
    on_sqlite: Served, tmp_path: Path
) -> None:
    _, channel = on_sqlite
    rows: list[Sequence[str]] = [registration(number) for number in range(6)]
    rows[1] = wrong_check(1)
    rows[2] = [*registration(2)[:2], "Ongoing", *registration(2)[3:]]
    rows[4] = registration(4)[:3]
    folder = tmp_path / "real"
    (folder / "more").mkdir(parents=True)
    write_csv(folder / "a.csv", rows)
    write_parquet(folder / "more" / "b.parquet", [registration(10), wrong_check(11)])
    summary = await loaded(channel, folder, tmp_path / "rejects.csv")
    assert (summary.files, summary.rows, summary.rejected) == (2, 8, 4)
    # A registration spans two lines of the file: its business scope has a line break.
    assert [tuple(row.values())[:6] for row in rows_of(tmp_path / "rejects.csv")] == [
        ("a.csv", "4", f"registration-{wrong_check(1)[1]}", "uscc", "subject",
         "USCC_CHECK_CHARACTER"),
        ("a.csv", "6", "", "registered_on", "disclosed_from", "START_NOT_A_DATE"),
        ("a.csv", "10", "", "", "", "FIELD_COUNT"),
        ("more/b.parquet", "2", f"registration-{wrong_check(11)[1]}", "uscc", "subject",
         "USCC_CHECK_CHARACTER"),
    ]  # fmt: skip
    text = (tmp_path / "rejects.csv").read_text(encoding="utf-8")
    assert "虚构" not in text
    assert "Ongoing" not in text


async def test_a_load_of_rejects_alone_reports_every_one(on_sqlite: Served, tmp_path: Path) -> None:
    _, channel = on_sqlite
    rows = [wrong_check(number) for number in range(2_100)]
    summary = await loaded(channel, write_csv(tmp_path / "x.csv", rows), tmp_path / "rejects.csv")
    assert (summary.rows, summary.rejected) == (2_100, 2_100)
    assert Counter(row["reason"] for row in rows_of(tmp_path / "rejects.csv")) == {
        "USCC_CHECK_CHARACTER": 2_100
    }


async def test_rows_refused_by_the_loader_alone_need_no_call(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    source = write_csv(tmp_path / "x.csv", [["too", "short"]] * 12_000)
    steps: list[int] = []
    report = tmp_path / "rejects.csv"
    await load(channel, source, report=report, progress=lambda step: steps.append(step.rejected))
    assert steps == [5_000, 10_000, 12_000, 12_000]
    assert len(rows_of(report)) == 12_000
    assert site.requests == []


async def test_what_the_catalogue_did_not_allow_enters_once_it_does(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    items = {item.code: item for item in read_catalogue(NATIONAL)}
    item = items["registration.enterprise"]
    site.feed.catalogue([item.model_copy(update={"sources": ("Invented Bureau",)})])
    source = write_csv(tmp_path / "x.csv", [registration(number) for number in range(1_200)])
    before = await loaded(channel, source, tmp_path / "rejects.csv")
    assert (before.published, before.rejected) == (0, 1_200)
    site.feed.catalogue([item])
    after = await loaded(channel, source, tmp_path / "rejects.csv")
    assert (after.published, after.rejected) == (1_200, 0)
    again = await loaded(channel, source, tmp_path / "rejects.csv")
    assert (again.published, again.unchanged, again.rejected) == (0, 1_200, 0)


async def test_a_record_that_differs_is_reported_and_not_overwritten(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    await loaded(channel, write_csv(tmp_path / "x.csv", [registration(1)]), tmp_path / "r.csv")
    changed = registration(1)
    changed[0] = "虚构改名有限公司"
    source = write_csv(tmp_path / "y.csv", [registration(2), changed, registration(1)])
    summary = await loaded(channel, source, tmp_path / "r.csv")
    assert (summary.published, summary.unchanged, summary.rejected) == (1, 1, 1)
    (row,) = rows_of(tmp_path / "r.csv")
    assert (row["row"], row["reason"], row["column"]) == ("4", "RECORD_DIFFERS", "uscc")
    stored = await asyncio.to_thread(site.store.record, f"registration-{company(1)}")
    assert "虚构测试有限公司1" in stored.record.content.decode()


async def test_records_met_again_in_other_batches_are_unchanged(
    on_sqlite: Served, tmp_path: Path
) -> None:
    _, channel = on_sqlite
    rows = [registration(number) for number in range(1_500)]
    await loaded(channel, write_csv(tmp_path / "x.csv", rows), tmp_path / "r.csv")
    more = [registration(number) for number in range(1_500, 1_700)]
    source = write_csv(tmp_path / "y.csv", [*more, *reversed(rows)])
    summary = await loaded(channel, source, tmp_path / "r.csv")
    assert (summary.published, summary.unchanged, summary.rejected) == (200, 1_500, 0)


async def test_a_busy_gateway_is_asked_again_and_a_lost_answer_costs_nothing(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    site.fail(("before", away()), ("after", away()), ("before", away()))
    source = write_csv(tmp_path / "x.csv", [registration(1), wrong_check(2)])
    summary = await loaded(channel, source, tmp_path / "r.csv")
    assert (summary.published + summary.unchanged, summary.rejected) == (1, 1)
    assert await asyncio.to_thread(site.store.head) == 1


async def test_a_gateway_that_stays_away_ends_the_load_after_patience(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    for _ in range(20):
        site.fail(("before", away()))
    source = write_csv(tmp_path / "x.csv", [registration(1)])
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await load(
            channel, source, report=tmp_path / "r.csv", progress=lambda _: None, patience=0.5
        )
    assert explain(error.value).reason == "TEMPORARILY_UNAVAILABLE"


async def test_a_load_that_breaks_keeps_the_earlier_report_and_is_simply_run_again(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    report = tmp_path / "r.csv"
    earlier = ",".join(HEADER)
    report.write_text(earlier, encoding="utf-8")
    source = write_csv(tmp_path / "x.csv", [registration(number) for number in range(2_500)])
    seen: list[Progress] = []

    def withdraw_scope(step: Progress) -> None:
        seen.append(step)
        site.fail(("before", not_granted()))

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await load(channel, source, report=report, progress=withdraw_scope)
    assert explain(error.value).reason == "SCOPE_NOT_GRANTED"
    assert [step.published for step in seen] == [1_000]
    assert report.read_text(encoding="utf-8") == earlier
    assert names_in(tmp_path) == ["r.csv", "x.csv"]
    summary = await loaded(channel, source, report)
    assert (summary.published, summary.unchanged) == (1_500, 1_000)


async def test_a_load_that_is_cancelled_lets_go_of_everything(
    on_sqlite: Served, tmp_path: Path
) -> None:
    _, channel = on_sqlite
    source = write_csv(tmp_path / "x.csv", [registration(number) for number in range(5_000)])
    begun = asyncio.Event()
    task = asyncio.create_task(
        load(channel, source, report=tmp_path / "r.csv", progress=lambda _: begun.set())
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names_in(tmp_path) == ["x.csv"]
    assert (await loaded(channel, source, tmp_path / "r.csv")).rows == 5_000


@pytest.mark.parametrize(
    "answer",
    [
        PublishRecordsResponse(committed_batches=1, published_records=1),
        PublishRecordsResponse(committed_batches=1, published_records=3),
        PublishRecordsResponse(published_records=1, unchanged_records=1, rejected_records=1),
        PublishRecordsResponse(
            published_records=1, rejected_records=1, rejections=[RejectedRecord(index=2)]
        ),
        PublishRecordsResponse(
            published_records=1, rejected_records=2, rejections=[RejectedRecord(), RejectedRecord()]
        ),
    ],
    ids=["too few", "too many", "untold", "outside", "twice"],
)
async def test_an_answer_that_does_not_account_for_every_draft_breaks_the_load(
    on_sqlite: Served, tmp_path: Path, answer: PublishRecordsResponse
) -> None:
    site, channel = on_sqlite
    site.answers.append(answer)
    source = write_csv(tmp_path / "x.csv", [registration(1), registration(2)])
    with pytest.raises(FeedBroken, match="does not account for each of its 2 records"):
        await load(channel, source, report=tmp_path / "r.csv", progress=lambda _: None)


async def test_every_file_is_checked_before_anything_is_sent(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    write_csv(tmp_path / "a.csv", [registration(1)])
    write_csv(tmp_path / "b.csv", [], COLUMNS[1:])
    for mapping in (None, REGISTRATION):
        with pytest.raises(SourceRefused, match=r"b\.csv"):
            await load(channel, tmp_path, mapping, report=tmp_path / "r", progress=lambda _: None)
    assert site.requests == []


async def test_a_report_among_the_sources_is_no_source(on_sqlite: Served, tmp_path: Path) -> None:
    _, channel = on_sqlite
    write_csv(tmp_path / "a.csv", [registration(1)])
    for _ in range(2):
        summary = await loaded(channel, tmp_path, tmp_path / "rejects.csv")
        assert (summary.files, summary.rows) == (1, 1)


async def test_a_report_that_cannot_be_written_is_told_before_anything_is_sent(
    on_sqlite: Served, tmp_path: Path
) -> None:
    site, channel = on_sqlite
    source = write_csv(tmp_path / "a.csv", [registration(1)])
    with pytest.raises(FileNotFoundError):
        await load(channel, source, report=tmp_path / "no" / "r.csv", progress=lambda _: None)
    assert site.requests == []


async def test_an_empty_file_loads_nothing(on_sqlite: Served, tmp_path: Path) -> None:
    _, channel = on_sqlite
    (tmp_path / "x.jsonl").touch()
    summary = await loaded(channel, tmp_path / "x.jsonl", tmp_path / "r.csv", REGISTRATION)
    assert summary == LoadSummary(1, 0, 0, 0, 0, tmp_path / "r.csv")


def test_batches_keep_to_the_sizes_of_the_contract(tmp_path: Path) -> None:
    long = [[*registration(number)[:7], "范" * 20_000] for number in range(120)]
    huge = [*registration(120)[:7], "范" * 40_000]
    rows = [*long, huge, *(registration(number) for number in range(200, 1_400))]
    reader = open_rows(write_csv(tmp_path / "x.csv", rows), REGISTRATION.used())
    made = list(batches(reader, DraftMaker(REGISTRATION)))
    reader.close()
    assert sum(batch.row_count for batch in made) == len(rows)
    assert all(len(batch.request.records) <= MOST_DRAFTS for batch in made)
    assert all(batch.request.ByteSize() <= 3 << 20 for batch in made)
    assert max(batch.request.ByteSize() for batch in made) > (3 << 20) - 100_000


def test_a_row_too_large_for_any_batch_is_refused(tmp_path: Path) -> None:
    rows = [registration(1), [*registration(2)[:7], "x" * (4 << 20)], registration(3)]
    reader = open_rows(write_parquet(tmp_path / "x.parquet", rows), REGISTRATION.used())
    (batch,) = batches(reader, DraftMaker(REGISTRATION))
    reader.close()
    assert batch.rows == [1, 3]
    assert [(refused.row, refused.fault.name) for refused in batch.refused] == [
        (2, "RECORD_TOO_LARGE")
    ]


def test_batches_of_other_records_have_other_ids(tmp_path: Path) -> None:
    ids: set[str] = set()
    for numbers in (range(3), range(4), range(3)):
        path = write_csv(tmp_path / "x.csv", [registration(number) for number in numbers])
        reader = open_rows(path, REGISTRATION.used())
        (batch,) = batches(reader, DraftMaker(REGISTRATION))
        reader.close()
        ids.add(batch.request.batch_id)
    assert len(ids) == 2
