"""Invented companies in files of every format, and a small mapping for them."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from creditgate.uscc import check_character
from sdk.loading.mapping_file import shipped_mappings

REGISTRATION = shipped_mappings()["enterprise_registration"]
COLUMNS = (
    "name",
    "uscc",
    "registered_on",
    "enterprise_type",
    "registered_capital",
    "province",
    "city",
    "business_scope",
)


def company(number: int) -> str:
    """Return the code of an invented enterprise, in the unassigned district 000000."""
    stem = f"91000000{number:09d}"
    return stem + check_character(stem)


def registration(number: int) -> list[str]:
    """Return the row of an invented enterprise."""
    day = f"{1985 + number % 30}-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
    scope = f'虚构经营范围第{number}号：批发、零售、\n“测试”用品, 软件开发 \\ "咨询"'
    return [
        f"虚构测试有限公司{number}",
        company(number),
        day,
        "有限责任公司",
        "N/A",
        "测试省",
        "",
        scope,
    ]


def write_csv(
    path: Path, rows: Iterable[Sequence[str]], columns: Sequence[str] = COLUMNS, bom: bool = False
) -> Path:
    """Write rows as CSV."""
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def write_jsonl(
    path: Path, rows: Iterable[Sequence[str]], columns: Sequence[str] = COLUMNS
) -> Path:
    """Write rows as JSONL, no value as null."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            cells = {name: cell or None for name, cell in zip(columns, row, strict=True)}
            file.write(json.dumps(cells, ensure_ascii=False) + "\n")
    return path


def write_parquet(
    path: Path, rows: Iterable[Sequence[str]], columns: Sequence[str] = COLUMNS
) -> Path:
    """Write rows as Parquet, no value as null."""
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    table = pa.table(
        {
            name: pa.array([cell or None for cell in column], pa.string())
            for name, column in zip(columns, values, strict=True)
        }
    )
    pq.write_table(table, path)
    return path
