"""What regions tell each other of a comparison, in messages of a bounded size."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from pydantic import ValidationError

from creditgate.clearing_disputes import Dispute, dispute_id, dispute_of
from creditgate.clearing_entries import ClearingEntry, Entries
from creditgate.reconcile.elements import ELEMENT_BYTES
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import SetElements
from gateway.federation.clearing.claims import Claims
from gateway.federation.clearing.comparing import MOST_AT_ONCE
from gateway.federation.clearing.dispute_store import Changed

ENTRIES_AT_ONCE: Final = 500
DIGEST_BYTES: Final = 32
_T = TypeVar("_T")
_More = TypeVar("_More", pb.ClearingClaims, pb.ClearingDifferences, pb.ClearingLeftOut)


class Unclaimable(ValueError):
    """What a region claims cannot be; the message says why."""


def elements_of(packed: bytes) -> Iterator[pb.ClearingElements]:
    """Give packed elements in messages."""
    size = MOST_AT_ONCE * ELEMENT_BYTES
    for first in range(0, max(len(packed), 1), size):
        part = packed[first : first + size]
        yield pb.ClearingElements(elements=part, more=first + size < len(packed))


def claims_of(claims: Claims) -> list[pb.ClearingClaims]:
    """Return what is claimed of answers in messages, at least one."""
    parts = _parts(_entries(claims.values()), ENTRIES_AT_ONCE)
    return _linked(
        [pb.ClearingClaims(entries=_messages(part)) for part in parts], pb.ClearingClaims
    )


def differences_of(only_caller: Sequence[bytes], claims: Claims) -> list[pb.ClearingDifferences]:
    """Return what differs in messages, at least one: elements that only the caller has, and what
    the callee claims of the answers whose elements only it has."""
    found = [
        pb.ClearingDifferences(only_caller=SetElements(elements=part))
        for part in _parts(only_caller, MOST_AT_ONCE)
    ]
    found += (
        pb.ClearingDifferences(only_callee=_messages(part))
        for part in _parts(_entries(claims.values()), ENTRIES_AT_ONCE)
    )
    return _linked(found, pb.ClearingDifferences)


def left_out_of(changed: Changed, agreed: Iterable[bytes]) -> list[pb.ClearingLeftOut]:
    """Return what a clearing changed of what is left out, and the digests of the entries that it
    agreed on, in messages, at least one."""
    found = [
        pb.ClearingLeftOut(home_entries=_messages(part))
        for part in _parts(_entries(each.home_entries for each in changed.found), ENTRIES_AT_ONCE)
    ]
    found += (
        pb.ClearingLeftOut(asking_entries=_messages(part))
        for part in _parts(_entries(each.asking_entries for each in changed.found), ENTRIES_AT_ONCE)
    )
    found += (
        pb.ClearingLeftOut(closed_dispute_ids=part)
        for part in _parts(map(dispute_id, sorted(changed.closed)), ENTRIES_AT_ONCE)
    )
    found += (
        pb.ClearingLeftOut(agreed_digests=b"".join(part)) for part in _parts(agreed, MOST_AT_ONCE)
    )
    return _linked(found, pb.ClearingLeftOut)


class Claimed:
    """Collects what a region claims, message by message: of answers between ``regions``, served
    before ``until`` (seconds, UTC), ``most`` entries in all."""

    def __init__(self, regions: frozenset[str], until: int, most: int) -> None:
        self._regions = regions
        self._until = until
        self._left = most
        self._found: dict[bytes, list[ClearingEntry]] = {}

    def add(self, messages: Sequence[pb.ClearingEntry]) -> None:
        """Take some entries. Raises Unclaimable."""
        self._left -= len(messages)
        if self._left < 0 or len(messages) > ENTRIES_AT_ONCE:
            raise Unclaimable("it claims more than there can be")
        for message in messages:
            try:
                entry = ClearingEntry.of(message)
            except ValidationError:
                raise Unclaimable("it claims entries that cannot be") from None
            if (
                frozenset((entry.home, entry.asking)) != self._regions
                or entry.serve_seconds >= self._until
            ):
                raise Unclaimable("it claims entries of other regions, or of another time")
            self._found.setdefault(entry.answer.id, []).append(entry)

    def claims(self, differing: Iterable[bytes]) -> Claims:
        """Return what was claimed of the answers in it, and of those that are ``differing``."""
        found: dict[bytes, Entries] = dict.fromkeys(differing, ())
        for answer, entries in self._found.items():
            found[answer] = tuple(sorted(set(entries)))
        return found


def disputes_in(home: Claims, asking: Claims, until: int) -> tuple[Dispute, ...]:
    """Return disputes by the versions of the home regions and of the asking ones."""
    return tuple(
        dispute_of(home.get(answer, ()), asking.get(answer, ()), until)
        for answer in sorted(home.keys() | asking.keys())
    )


def _entries(claims: Iterable[Entries]) -> Iterator[ClearingEntry]:
    for entries in claims:
        yield from entries


def _messages(entries: Iterable[ClearingEntry]) -> list[pb.ClearingEntry]:
    return [entry.message() for entry in entries]


def _parts(things: Iterable[_T], size: int) -> Iterator[list[_T]]:
    left = iter(things)
    while part := list(islice(left, size)):
        yield part


def _linked(messages: list[_More], kind: type[_More]) -> list[_More]:
    """Return messages that say which is the last: at least one."""
    messages = messages or [kind()]
    for message in messages[:-1]:
        message.more = True
    return messages
