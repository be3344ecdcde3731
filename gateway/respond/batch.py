"""What batches add: many subjects checked, chunks, and chunks too large for a message."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from creditgate.refusal import Violation, invalid
from creditgate.uscc_bulk import all_valid
from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsResponse
from gateway.authorise.bounds import Details, covering
from gateway.disclose.frame import field
from gateway.respond.answer import Selection, answer_bytes
from gateway.respond.receipted import Served
from gateway.respond.request import subject_fault

_MOST_FAULTS: Final = 100
_CHECKED_AT_ONCE: Final = 1_000


async def check_subjects(
    subjects: Sequence[str],
    faults: Iterable[Violation],
    *,
    most: int,
    resume_from: int,
    chunk: int,
) -> None:
    """Raise INVALID_REQUEST unless a batch is well formed.

    All are checked at once; only where something is wrong it is looked for one by one, and
    other calls get their turn between slices of that: 50,000 codes take a tenth of a second.
    """
    found = list(faults)
    if not 0 < len(subjects) <= most:
        found.append(Violation("subjects", f"from 1 to {most} unified social credit codes"))
    if not 0 <= resume_from < max(len(subjects), 1) or resume_from % chunk:
        found.append(
            Violation("resume_from", f"a multiple of {chunk} below the number of subjects")
        )
    if found:
        raise invalid(*found)
    if len(set(subjects)) == len(subjects) and all_valid(subjects):
        return
    seen: set[str] = set()
    for start in range(0, len(subjects), _CHECKED_AT_ONCE):
        for index, subject in enumerate(subjects[start : start + _CHECKED_AT_ONCE], start):
            if violation := subject_fault(index, subject):
                found.append(violation)
            elif subject in seen:
                # Served twice it would be charged twice.
                found.append(Violation(f"subjects[{index}]", "name each subject once"))
            seen.add(subject)
        if len(found) >= _MOST_FAULTS:
            break
        await asyncio.sleep(0)
    if found:
        raise invalid(*found[:_MOST_FAULTS])


async def check_covered(subjects: Sequence[str], details: Details, consent: str) -> None:
    """Raise Refused unless a token's ``details``, where it has any, cover each subject.

    Of all, before anything is charged: what a token covers never changes. Raises as
    `covering`.
    """
    if not details:
        return
    if not any(detail.subjects for detail in details):
        # They cover all alike.
        subjects = subjects[:1]
    for index, subject in enumerate(subjects, 1):
        covering(details, subject, consent)
        if index % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)


class Piece(NamedTuple):
    """A message of a chunk, and how many records are in it."""

    message: bytes
    records: int


def pieces(
    selection: Selection,
    served: Served,
    first: int,
    count: int,
    most: int,
    most_records: int | None = None,
) -> Iterator[Piece]:
    """Yield a chunk of ``count`` subjects from ``first`` on, in messages with at most ``most``
    bytes of records, proof and receipt of use, and ``most_records``; charge, proof and receipt
    go with the last."""
    behind = len(selection.proof) + len(served.usage)
    *former, last = parts_of(selection.frames, most, behind, most_records)
    for part in former:
        message = answer_bytes(part, served.uncharged(), _tail(first, count, complete=False))
        yield Piece(message, len(part))
    tail = _tail(first, count, complete=True)
    if selection.proof:
        tail += field(BatchGetSubjectRecordsResponse.PROOF_FIELD_NUMBER, selection.proof)
    yield Piece(answer_bytes(last, served, tail), len(last))


def _tail(first: int, count: int, *, complete: bool) -> bytes:
    return BatchGetSubjectRecordsResponse(
        first_subject=first, subject_count=count, chunk_complete=complete
    ).SerializeToString()


def parts_of(
    frames: Sequence[bytes], most: int, behind: int = 0, most_records: int | None = None
) -> list[Sequence[bytes]]:
    """Return ``frames`` in runs of at most ``most`` bytes and ``most_records``, at least one run.

    The last leaves room for ``behind`` bytes, and may be empty.
    """
    if most_records is None:
        most_records = len(frames)
    if sum(map(len, frames)) + behind <= most and len(frames) <= most_records:
        return [frames]
    parts: list[Sequence[bytes]] = []
    run: list[bytes] = []
    size = 0
    for stored in frames:
        if run and (size + len(stored) > most or len(run) == most_records):
            parts.append(run)
            run, size = [], 0
        run.append(stored)
        size += len(stored)
    parts.append(run)
    if run and behind and size + behind > most:
        parts.append([])
    return parts
