"""Entries of the disclosure log, as they are logged, and where they stand in it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Row, insert, select

from creditgate.transparency.facts import event_commitment
from creditgate.v1.disclosure_proof_pb2 import DisclosureLogEntry, MapHead
from gateway.transparency.events import DisclosedEvent
from gateway.transparency.salts import Salts
from gateway.transparency.tables import HEADS

_AT_HAND: Final = 64
_NEW_HEAD: Final = insert(HEADS)
_LAST_HEAD: Final = (
    select(HEADS.c.log_index, HEADS.c.event_sequence, HEADS.c.seal)
    .order_by(HEADS.c.log_index.desc())
    .limit(1)
)


class Batch(NamedTuple):
    """What events come to that are logged together: of each the digest of its member and its
    entry, and the seal of all up to the last."""

    members: list[bytes]
    entries: list[bytes]
    seal: bytes


def batch_of(
    events: Sequence[DisclosedEvent],
    salts: Salts,
    before: bytes,
    members_of: Callable[[Sequence[DisclosedEvent]], list[bytes]],
) -> Batch:
    """Return what events come to; ``before`` is the seal of those before them, ``members_of``
    gives for each event the digest of the revision that it fixed or ended."""
    members: list[bytes] = []
    entries: list[bytes] = []
    rows: list[str] = []
    # A few at a time: what an event is made of is at hand still when it is looked at again.
    for start in range(0, len(events), _AT_HAND):
        some = events[start : start + _AT_HAND]
        own = members_of(some)
        members += own
        entries += event_entries(some, salts, own)
        rows += _sealed_rows(some)
    return Batch(members, entries, _sealed(salts, before, rows))


def event_entries(
    events: Iterable[DisclosedEvent], salts: Salts, members: Iterable[bytes]
) -> list[bytes]:
    """Return the leaf data of events; of each, ``members`` has the digest of the revision that
    it fixed or ended (`creditgate.transparency.facts.event_commitment`)."""
    logged = DisclosureLogEntry()
    entry = logged.event
    time, written = entry.event_time, logged.SerializeToString
    entries: list[bytes] = []
    for event, member in zip(events, members, strict=True):
        # All written in the place of the last: to make messages this small costs more than that.
        entry.event_sequence = event.sequence
        entry.kind = event.kind
        time.seconds = event.at
        entry.commitment = event_commitment(
            salts.event(event.sequence),
            event.kind,
            event.revision,
            event.subject,
            event.item,
            member,
        )
        entries.append(written(deterministic=True))
    return entries


def head_entry(head: MapHead) -> bytes:
    """Return the leaf data of a map head."""
    return DisclosureLogEntry(map_head=head).SerializeToString(deterministic=True)


def sealed(salts: Salts, before: bytes, events: Iterable[DisclosedEvent]) -> bytes:
    """Return the seal of all events up to the last of ``events``, given that of those before.

    It covers what the log's commitments do not: who published, and why. Only who has the
    secret of the salts can make it.
    """
    return _sealed(salts, before, _sealed_rows(events))


def _sealed(salts: Salts, before: bytes, rows: Iterable[str]) -> bytes:
    return salts.seal("\0".join((before.hex(), *rows)).encode())


def _sealed_rows(events: Iterable[DisclosedEvent]) -> list[str]:
    # None of the texts has a zero byte.
    return [
        f"{event.sequence}\0{event.kind}\0{event.record_id}\0{event.revision}\0{event.subject}"
        f"\0{event.content_digest.hex()}\0{event.disclosed_from}\0{event.disclosed_until}"
        f"\0{event.at}\0{event.published_by}\0{event.note}"
        for event in events
    ]


def note_head(connection: Connection, log_index: int, event_sequence: int, seal: bytes) -> None:
    """Note that the entry at ``log_index`` is a map head behind an event; ``seal`` is that of
    all events up to it."""
    head = {"log_index": log_index, "event_sequence": event_sequence, "seal": seal}
    connection.execute(_NEW_HEAD, head)


def last_head(connection: Connection) -> Row[int, int, bytes] | None:
    """Return log_index, event_sequence and seal of the newest map head, None before the
    first."""
    return connection.execute(_LAST_HEAD).first()


def log_index_of(connection: Connection, event_sequence: int) -> int:
    """Return where an event stands in the log: behind the events before it, which are dense,
    and the map heads between them."""
    before = connection.execute(
        select(HEADS.c.log_index, HEADS.c.event_sequence)
        .where(HEADS.c.event_sequence < event_sequence)
        .order_by(HEADS.c.event_sequence.desc(), HEADS.c.log_index.desc())
        .limit(1)
    ).first()
    heads = 0 if before is None else before.log_index - before.event_sequence + 1
    return event_sequence - 1 + heads
