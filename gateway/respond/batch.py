"""What batches add: many subjects checked, chunks, and chunks too large for a message."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from creditgate.refusal import Violation, invalid
from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsResponse
from gateway.authorise.bounds import Details, covering
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

    Other calls get their turn between slices, since checking 50,000 codes takes a
    tenth of a second.
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
    for index, subject in enumerate(subjects, 1):
        covering(details, subject, consent)
        if index % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)


def chunk_tail(first: int, count: int, *, complete: bool) -> bytes:
    """Return the fields of a chunk that follow records and receipt."""
    return BatchGetSubjectRecordsResponse(
        first_subject=first, subject_count=count, chunk_complete=complete
    ).SerializeToString()


def parts_of(frames: Sequence[bytes], most: int) -> list[Sequence[bytes]]:
    """Return ``frames`` in runs of at most ``most`` bytes, at least one run."""
    if sum(map(len, frames)) <= most:
        return [frames]
    parts: list[Sequence[bytes]] = []
    run: list[bytes] = []
    size = 0
    for stored in frames:
        if run and size + len(stored) > most:
            parts.append(run)
            run, size = [], 0
        run.append(stored)
        size += len(stored)
    parts.append(run)
    return parts
