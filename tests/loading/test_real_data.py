"""The shipped mappings take the real sources whole: what is good enters, the rest is told."""

import csv
import json
from collections import Counter
from pathlib import Path

import grpc
import pytest

from creditgate import uscc
from sdk.loading.batches import batches
from sdk.loading.draft import DraftMaker
from sdk.loading.load import load
from sdk.loading.mapping_file import shipped_mappings
from sdk.loading.sources import open_rows
from tests.loading.site import Site

Served = tuple[Site, grpc.aio.Channel]


@pytest.fixture
def debarment(data_folder: Path) -> Path:
    """The list of ineligible firms."""
    return data_folder / "debarment" / "ebrd_ineligible_firms.csv"


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bad_codes_in(folder: Path) -> int:
    """Return how many credit codes of the files are wrong."""
    rows = [row for path in folder.glob("*.csv") for row in rows_of(path)]
    return sum(not uscc.is_valid(row["uscc"]) for row in rows)


async def test_every_real_row_is_published_or_told_why_not(
    on_sqlite: Served, data_folder: Path, tmp_path: Path
) -> None:
    _, channel = on_sqlite
    report = tmp_path / "rejects.csv"
    first = await load(channel, data_folder, report=report, progress=lambda _: None)
    rejects = rows_of(report)
    assert (first.files, first.rows) == (7, 23_524)
    # Two firms stand in the list twice, word for word.
    assert (first.unchanged, first.rejected) == (2, len(rejects))
    assert first.published == first.rows - 2 - len(rejects)
    debarred = Counter(row["reason"] for row in rejects if row["file"].startswith("debarment/"))
    assert debarred == {"START_MISSING": 199, "END_NOT_A_DATE": 26}
    enterprises = Counter(
        row["reason"] for row in rejects if row["file"].startswith("enterprises/")
    )
    # Associations, institutes and what ends behind the letters of the alphabet.
    assert enterprises == {
        "SUBJECT_TYPE_NOT_ALLOWED": 12, "USCC_ALPHABET": 4, "USCC_LENGTH": 145,
    }  # fmt: skip
    bad_codes = [row for row in rejects if row["reason"].startswith("USCC_")]
    assert len(bad_codes) == bad_codes_in(data_folder / "enterprises") == 149
    assert {row["column"] for row in bad_codes} == {"uscc"}
    second = await load(channel, data_folder, report=report, progress=lambda _: None)
    assert (second.published, second.rejected) == (0, first.rejected)
    assert rows_of(report) == rejects


def test_each_debarred_firm_is_told_apart_and_spelled_one_way(debarment: Path) -> None:
    mapping = shipped_mappings()["debarment"]
    reader = open_rows(debarment, mapping.used())
    drafts = [
        draft for batch in batches(reader, DraftMaker(mapping)) for draft in batch.request.records
    ]
    reader.close()
    contents = [json.loads(draft.content) for draft in drafts]
    assert len(drafts) == 557
    assert len({draft.record_id for draft in drafts}) == 555
    assert len({draft.subject for draft in drafts}) == len(
        {(content["firm_name"].casefold(), content["nationality"]) for content in contents}
    )
    assert all(uscc.is_valid(draft.subject) for draft in drafts)
    assert {draft.source for draft in drafts} == {
        "World Bank Group",
        "Asian Development Bank",
        "EBRD",
        "Inter-American Development Bank Group",
        "African Development Bank",
    }
    nations = Counter(content["nationality"] for content in contents)
    assert nations["China"] == sum(
        row["ineligible_from"] != "" and row["ineligible_until"][:1].isdigit()
        for row in rows_of(debarment)
        if row["nationality"]
        in ("China", "People's Republic of China", "Peoples Republic of China")
    )
    practices = {content["practice"] for content in contents}
    assert len({practice.casefold().removesuffix("s") for practice in practices}) == len(practices)


def test_a_real_registration_becomes_the_record_it_says(data_folder: Path) -> None:
    mapping = shipped_mappings()["enterprise_registration"]
    reader = open_rows(data_folder / "enterprises" / "shanghai.csv", mapping.used())
    draft = next(batches(reader, DraftMaker(mapping))).request.records[0]
    reader.close()
    assert (draft.record_id, draft.subject, draft.region) == (
        "registration-91310104132600227B", "91310104132600227B", "310104",
    )  # fmt: skip
    # 1985-01-01T00:00:00+08:00.
    assert draft.disclosed_from.seconds == 473_356_800
    assert not draft.HasField("disclosed_until")
    content = json.loads(draft.content)
    assert content["registered_on"] == "1985-01-01"
    assert list(content) == sorted(content)
