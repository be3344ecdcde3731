"""A month of use to close: written straight into the ledger, as many answers as wanted.

Each answer is of three records about one company, of up to three items and sources; one in a
thousand is credited again in part. What they are about is drawn from a seed.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any, Final

from sqlalchemy import Engine, insert

from benchmarks.shape import subject_code
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.model import ANSWER, REVERSAL, LineCount, lines_text
from gateway.meter.tables import USAGE, USAGE_HEADS
from gateway.storage.engines import open_engines
from gateway.storage.migrate import upgrade_all

OPERATOR: Final = "bench"
MONTH: Final = "2026-03"
MARCH: Final = 1_772_323_200
_MONTH_SECONDS: Final = 31 * 86_400
SUBJECTS: Final = 250_000
_RECORDS_EACH: Final = 4
RECORDS_AN_ANSWER: Final = 3
_PRICE: Final = 50_000
_ITEMS: Final = tuple(f"item-{number}" for number in range(10))
_SOURCES: Final = tuple(f"source-{number}" for number in range(6))
_REGIONS: Final = tuple(f"00000{number}" for number in range(4))
_FRAME: Final = bytes(600)
_AT_ONCE: Final = 50_000
_MARKER: Final = "used.json"


def used(root: Path, answers: int) -> Path:
    """Return the folder of a store with so many answers in the month, made unless it is there."""
    marker = root / _MARKER
    told = json.dumps({"answers": answers})
    if not marker.exists() or marker.read_text(encoding="utf-8") != told:
        # What was broken off before it was whole is begun anew.
        rmtree(root, ignore_errors=True)
        engines = open_engines("sqlite", root)
        upgrade_all(engines)
        _fill(engines.records, answers)
        engines.dispose()
        marker.write_text(told, encoding="utf-8")
    return root


def _fill(engine: Engine, answers: int) -> None:
    rng = Random(1)
    line_of = array("i", [0])
    names = product(_ITEMS, _SOURCES, _REGIONS)
    lines = [
        {"line_no": number, "item": item, "source": source, "region": region}
        for number, (item, source, region) in enumerate(names, 1)
    ]
    with engine.begin() as connection:
        connection.execute(insert(LINES), lines)
        revisions = _revisions(rng, line_of)
        while rows := list(islice(revisions, _AT_ONCE)):
            connection.execute(insert(REVISIONS), rows)
        connection.execute(insert(USAGE_HEADS).values(operator_id=OPERATOR, next_index=answers))
    written = _answers(rng, line_of, answers)
    while rows := list(islice(written, _AT_ONCE)):
        with engine.begin() as connection:
            connection.execute(insert(USAGE), rows)


def _revisions(rng: Random, line_of: "array[int]") -> Iterator[dict[str, Any]]:
    for number in range(SUBJECTS):
        region, first = rng.randrange(len(_REGIONS)), rng.randrange(len(_ITEMS))
        for turn in range(_RECORDS_EACH):
            item = (first + turn) % len(_ITEMS)
            source = rng.randrange(len(_SOURCES))
            line = (item * len(_SOURCES) + source) * len(_REGIONS) + region + 1
            line_of.append(line)
            yield {
                "sequence": len(line_of) - 1,
                "record_id": f"rec-{len(line_of) - 1}",
                "revision": 1,
                "subject": subject_code(number),
                "line_no": line,
                "disclosed_from": 0,
                "disclosed_until": 10**11,
                "ended_by": 0,
                "frame": _FRAME,
            }


def _answers(rng: Random, line_of: "array[int]", answers: int) -> Iterator[dict[str, Any]]:
    place = 0
    for number in range(answers):
        about = rng.randrange(SUBJECTS) * _RECORDS_EACH + 1
        first = about + rng.randrange(_RECORDS_EACH - RECORDS_AN_ANSWER + 1)
        revisions = list(range(first, first + RECORDS_AN_ANSWER))
        at = MARCH + _MONTH_SECONDS * number // answers
        yield _row(number, place, at, revisions, line_of)
        place += 1
        if number % 1_000 == 7:
            credit = _row(number, place, at + 60, revisions[-1:], line_of)
            yield {**credit, "kind": REVERSAL, "reversed_index": place - 1}
            place += 1


def _row(
    number: int, place: int, at: int, revisions: list[int], line_of: "array[int]"
) -> dict[str, Any]:
    counts = Counter(line_of[revision] for revision in revisions)
    return {
        "operator_id": OPERATOR,
        "client_id": "bench-client",
        "request_id": f"{number:012d}",
        "chunk": 0,
        "payload_digest": bytes(32),
        "licence": "L-1",
        "consent": "",
        "purpose": 1 + number % 3,
        "decision_id": f"d-{number:016x}",
        "served_at": at,
        "disclosure_sequence": len(line_of) - 1,
        "entry_count": len(revisions),
        "fee": len(revisions) * _PRICE,
        "lines": lines_text(
            tuple(LineCount(line, count, _PRICE) for line, count in counts.items())
        ),
        "entries": array("q", revisions).tobytes(),
        "kind": ANSWER,
        "usage_index": place,
        "records_digest": bytes(32),
        "reversed_index": None,
    }
