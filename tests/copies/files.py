"""Copies written to files in every form that is read."""

import base64
import csv
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ("record_id", "content", "disclosed_from", "disclosed_until")


class Told(NamedTuple):
    """A copy as a test tells it; ``disclosed_until`` None where there is no end."""

    record_id: str
    content: bytes
    disclosed_from: int
    disclosed_until: int | None


def write_csv(path: Path, copies: Sequence[Told]) -> None:
    """Write copies as CSV, the periods in seconds."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for copy in copies:
            content = copy.content.decode(errors="surrogateescape")
            until = "" if copy.disclosed_until is None else copy.disclosed_until
            writer.writerow((copy.record_id, content, copy.disclosed_from, until))


def write_jsonl(path: Path, copies: Sequence[Told]) -> None:
    """Write copies as JSON lines, the periods as instants."""
    with path.open("w", encoding="utf-8") as file:
        for copy in copies:
            row = {
                "record_id": f"records/{copy.record_id}",
                "content": copy.content.decode(errors="surrogateescape"),
                "disclosed_from": instant(copy.disclosed_from),
                "disclosed_until": None
                if copy.disclosed_until is None
                else instant(copy.disclosed_until),
            }
            file.write(json.dumps(row) + "\n")


def write_parquet(path: Path, copies: Sequence[Told]) -> None:
    """Write copies as Parquet, contents as bytes, the periods as timestamps."""
    times = pa.timestamp("s", "UTC")
    table = pa.table(
        {
            "record_id": pa.array([copy.record_id for copy in copies], pa.string()),
            "content": pa.array([copy.content for copy in copies], pa.binary()),
            "disclosed_from": pa.array([copy.disclosed_from for copy in copies], times),
            "disclosed_until": pa.array([copy.disclosed_until for copy in copies], times),
        }
    )
    pq.write_table(table, path)


def write_saved(path: Path, copies: Sequence[Told]) -> None:
    """Write copies as ``creditgate batch --output`` writes records."""
    with path.open("w", encoding="utf-8") as file:
        for copy in copies:
            record = {
                "name": f"records/{copy.record_id}",
                "revision": 1,
                "content": base64.b64encode(copy.content).decode(),
                "disclosed_from": instant(copy.disclosed_from),
            }
            if copy.disclosed_until is not None:
                record["disclosed_until"] = instant(copy.disclosed_until)
            file.write(json.dumps(record) + "\n")


WRITERS: dict[str, Callable[[Path, Sequence[Told]], None]] = {
    "copies.csv": write_csv,
    "copies.jsonl": write_jsonl,
    "copies.parquet": write_parquet,
    "records.jsonl": write_saved,
}


def instant(seconds: int) -> str:
    """Return seconds UTC in RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
