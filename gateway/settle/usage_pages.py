"""Pages of usage entries: how much of which answers one message holds, and where the next begins.

Pure. Answers stay whole wherever one message holds them: who pages by one entry sees one answer a
page. One that no message holds is split, and the token then says behind which of its entries.
"""

import re
from itertools import islice
from typing import Final, NamedTuple

from creditgate.v1.usage_service_pb2 import UsageEntry
from gateway.settle.answer import usage_entries
from gateway.settle.paging import Filters, id_of, page_token
from gateway.settle.usage import AnswerPage, UsePlace

_END: Final = re.compile(r"([1-9]\d{0,17})(?:\.([1-9]\d{0,8}))?", re.ASCII)
# Tag and length of an entry within its page, which has less than 256 MiB.
_AROUND_BYTES: Final = 5
_TOKEN_BYTES: Final = 256


class UsagePage(NamedTuple):
    """Entries, and where the next page begins, None where there are no more."""

    entries: list[UsageEntry]
    end: UsePlace | None


def usage_page(found: AnswerPage, begin: UsePlace, most_bytes: int) -> UsagePage:
    """Return what of ``found`` one message of ``most_bytes`` holds, from ``begin`` on.

    At least one entry where there is one, so that every listing comes to its end.
    """
    entries: list[UsageEntry] = []
    left = most_bytes - _TOKEN_BYTES
    for answer in found.answers:
        first = begin.number if answer.sequence == begin.sequence else 0
        of_answer = list(islice(usage_entries(answer), first, None))
        sizes = [entry.ByteSize() + _AROUND_BYTES for entry in of_answer]
        if entries and sum(sizes) > left:
            return UsagePage(entries, UsePlace(answer.sequence, first))
        for number, (entry, size) in enumerate(zip(of_answer, sizes, strict=True), first):
            if entries and size > left:
                return UsagePage(entries, UsePlace(answer.sequence, number))
            entries.append(entry)
            left -= size
    end = UsePlace(found.answers[-1].sequence + 1, 0) if found.more else None
    return UsagePage(entries, end)


def usage_token(end: UsePlace, filters: Filters) -> str:
    """Return the token of the page that begins at ``end``, which is behind an answer or in one."""
    last = end.sequence if end.number else end.sequence - 1
    return page_token(f"{last}.{end.number}" if end.number else last, filters)


def usage_begin(token: str, filters: Filters) -> UsePlace | None:
    """Return where the page of a token begins, None unless it was made for ``filters``."""
    end = id_of(token, filters)
    if not end:
        return None if end is None else UsePlace(0, 0)
    match = _END.fullmatch(end)
    if match is None:
        return None
    sequence = int(match[1])
    return UsePlace(sequence, int(match[2])) if match[2] else UsePlace(sequence + 1, 0)
