"""What a load put in: which of the files' records the gateway should serve now."""

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from creditgate import uscc
from creditgate.v1.disclosure_service_pb2 import RecordDraft
from sdk.loading.batches import batches
from sdk.loading.draft import DraftMaker
from sdk.loading.load import LoadSummary
from sdk.loading.mapping_file import shipped_mappings
from sdk.loading.sources import fitting_mapping, open_rows, sources_in


class About(NamedTuple):
    """What a record is about."""

    subject: str
    item: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load seen from the files: who is in them, and the records that entered, by id.

    ``rejects`` counts the rows that did not, by reason.
    """

    subjects: tuple[str, ...]
    current: dict[str, About]
    expired: dict[str, About]
    rejects: Counter[str]


def loaded_from(source: Path, summary: LoadSummary, now: int) -> Loaded:
    """Read the files of a load again, and its report. Raises OSError.

    ``now`` (seconds, UTC) tells current records from expired ones.
    """
    with summary.report.open(encoding="utf-8", newline="") as report:
        rows = list(csv.DictReader(report))
    rejected = {(row["file"], int(row["row"])) for row in rows}
    subjects: dict[str, None] = {}
    current: dict[str, About] = {}
    expired: dict[str, About] = {}
    for name, row, draft in _drafts(source):
        if uscc.is_valid(draft.subject):
            subjects[draft.subject] = None
        if (name, row) not in rejected:
            place = current if _is_current(draft, now) else expired
            place[draft.record_id] = About(draft.subject, draft.item)
    return Loaded(tuple(subjects), current, expired, Counter(row["reason"] for row in rows))


def _drafts(source: Path) -> Iterator[tuple[str, int, RecordDraft]]:
    """Yield file, row and draft, as the loader made them."""
    mappings = shipped_mappings()
    for path in sources_in(source):
        mapping = fitting_mapping(path, mappings)
        name = path.name if path == source else path.relative_to(source).as_posix()
        with closing(open_rows(path, mapping.used())) as rows:
            for batch in batches(rows, DraftMaker(mapping)):
                for row, draft in zip(batch.rows, batch.request.records, strict=True):
                    yield name, row, draft


def _is_current(draft: RecordDraft, now: int) -> bool:
    return draft.disclosed_from.seconds <= now and (
        not draft.HasField("disclosed_until") or now < draft.disclosed_until.seconds
    )
