"""The load: files in, records out, every row accounted for."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import grpc

from sdk.loading.batches import Batch, batches
from sdk.loading.draft import DraftMaker
from sdk.loading.feed import Fed, Feed
from sdk.loading.mapping import ColumnMapping
from sdk.loading.mapping_file import shipped_mappings
from sdk.loading.rejects import RejectsReport, require_place
from sdk.loading.rows import SourceRefused
from sdk.loading.sources import fitting_mapping, open_rows, sources_in
from sdk.loading.steady import SteadyFile
from sdk.refusals import Refusal

_NOTHING_SENT: Final = Fed(0, 0, ())
PATIENCE: Final = 60.0
"""So many seconds a gateway that is away or busy is asked again, unless said otherwise."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load has come, over all its files.

    ``rows`` = ``published`` + ``unchanged`` + ``rejected``, each acknowledged by the gateway
    or refused by the loader. ``read_bytes`` of ``total_bytes``, of the files, are for a bar.
    """

    rows: int
    published: int
    unchanged: int
    rejected: int
    read_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What became of the rows: ``rows`` = ``published`` + ``unchanged`` + ``rejected``.

    ``unchanged`` were disclosed already, with the same content and period, perhaps by a
    call of this load whose answer was lost; ``rejected`` ones stand in ``report``.
    """

    files: int
    rows: int
    published: int
    unchanged: int
    rejected: int
    report: Path


@dataclass(frozen=True, slots=True)
class _Planned:
    path: Path
    name: str
    mapping: ColumnMapping
    size: int


async def load(
    channel: grpc.aio.Channel,
    source: Path,
    mapping: ColumnMapping | None = None,
    *,
    report: Path,
    progress: Callable[[Progress], None],
    patience: float = PATIENCE,
    waiting: Callable[[Refusal], None] = lambda _: None,
) -> LoadSummary:
    """Publish every row of a CSV, JSONL or Parquet file, or of all those in a folder.

    Without ``mapping`` each file goes by the shipped mapping that fits its columns.
    Every file's columns are checked before anything is sent, and a file that changes while it is
    loaded is refused from then on. ``report`` is the CSV file
    of refused and rejected rows (see `sdk.loading.rejects`), which replaces an earlier one and
    nothing else; ``progress`` is called after each batch. A gateway that is away or busy is
    tried again for ``patience`` seconds; ``waiting`` is called with why after some of them, once
    a batch.

    A load that breaks is simply run again: what is disclosed already counts as unchanged.
    Raises SourceRefused, MappingRefused and FeedBroken, grpc.RpcError for what
    `sdk.refusals.explain` explains, OSError.
    """
    planned = await asyncio.to_thread(_plan, source, mapping, report)
    feed = Feed(channel, patience, waiting)
    state = Progress(0, 0, 0, 0, 0, sum(file.size for file in planned))
    before = 0
    with RejectsReport(report) as rejects:
        for file in planned:
            maker = DraftMaker(file.mapping)
            with (
                SteadyFile(file.path) as steady,
                closing(open_rows(file.path, file.mapping.used())) as rows,
            ):
                made = steady.while_steady(batches(rows, maker))
                async with aclosing(_ahead(made)) as coming:
                    async for batch in coming:
                        fed = await feed.publish(batch.request) if batch.rows else _NOTHING_SENT
                        rejects.add(file.name, batch, fed, maker)
                        state = _advanced(state, batch, fed, before)
                        progress(state)
            before += file.size
        progress(replace(state, read_bytes=state.total_bytes))
    return LoadSummary(
        len(planned), state.rows, state.published, state.unchanged, state.rejected, report
    )


def _plan(source: Path, mapping: ColumnMapping | None, report: Path) -> list[_Planned]:
    """Return what to load, each file opened once to check its columns.

    A report of an earlier run may lie in the folder; it is no source. Anything else at its
    place is not replaced.
    """
    shipped = shipped_mappings() if mapping is None else {}
    require_place(report)
    sources = [
        path for path in sources_in(source) if not (report.exists() and path.samefile(report))
    ]
    if not sources:
        raise SourceRefused(f"{source} holds no file to load but the report, {report}")
    planned: list[_Planned] = []
    for path in sources:
        chosen = mapping or fitting_mapping(path, shipped)
        open_rows(path, chosen.used()).close()
        name = path.name if path == source else path.relative_to(source).as_posix()
        planned.append(_Planned(path, name, chosen, path.stat().st_size))
    return planned


async def _ahead(made: Iterator[Batch]) -> AsyncGenerator[Batch]:
    """Yield batches, the next being read and mapped in a thread meanwhile: two in memory."""
    loop = asyncio.get_running_loop()
    # Leaving waits for the thread, so the file is not closed under it.
    with ThreadPoolExecutor(1, "loading") as thread:
        coming = loop.run_in_executor(thread, next, made, None)
        try:
            while (batch := await coming) is not None:
                coming = loop.run_in_executor(thread, next, made, None)
                yield batch
        finally:
            coming.cancel()


def _advanced(state: Progress, batch: Batch, fed: Fed, before: int) -> Progress:
    return replace(
        state,
        rows=state.rows + batch.row_count,
        published=state.published + fed.published,
        unchanged=state.unchanged + fed.unchanged,
        rejected=state.rejected + len(batch.refused) + len(fed.rejections),
        read_bytes=before + batch.read_bytes,
    )
