"""A million records load in memory that does not grow, and a second time change nothing."""

import csv
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.disclose.store import DisclosureStore
from sdk.loading.load import Progress, load
from tests.installation import PUBLISHER, Installation
from tests.loading.files import COLUMNS, registration

ROWS = 1_000_000
WARM = 100_000
MOST_GROWTH = 32 << 20
"""Bytes: an allocator's slack; the rows themselves are about 250 MB."""


def _incompressible(number: int) -> list[str]:
    """Return a row that Parquet cannot make small, so that reading it whole would show."""
    *row, scope = registration(number)
    return [*row, scope + sha256(str(number).encode()).hexdigest()]


def write_both(folder: Path) -> None:
    """Write the same rows as CSV and as Parquet, whose one row group holds them all."""
    parts: list[pa.RecordBatch] = []
    with (folder / "x.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for start in range(0, ROWS, 10_000):
            rows = [_incompressible(number) for number in range(start, start + 10_000)]
            lines.writerows(rows)
            columns = [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)]
            parts.append(pa.record_batch(columns, list(COLUMNS)))
    pq.write_table(pa.Table.from_batches(parts), folder / "x.parquet", row_group_size=ROWS)


@pytest.mark.soak
async def test_a_million_records_load_in_flat_memory_and_only_once(
    publishing: Installation, tmp_path: Path
) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(write_both, tmp_path).result()
    assert pq.ParquetFile(tmp_path / "x.parquet").num_row_groups == 1
    store = DisclosureStore(publishing.engines.records)
    async with publishing.process() as started, started.gateway.channel(PUBLISHER) as channel:
        for name, published in (("x.parquet", ROWS), ("x.csv", 0)):
            memory: list[int] = []

            def note(step: Progress, memory: list[int] = memory) -> None:
                if step.rows >= WARM:
                    memory.append(psutil.Process().memory_info().rss)

            summary = await load(channel, tmp_path / name, report=tmp_path / "r.csv", progress=note)
            assert (summary.rows, summary.published, summary.rejected) == (ROWS, published, 0)
            assert max(memory) - memory[0] < MOST_GROWTH
            assert store.head() == ROWS
