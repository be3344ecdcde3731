"""Entries of the disclosure log, as they are logged, and where they stand in it."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Row, insert, select

from creditgate.transparency.facts import event_commitment
from creditgate.v1.disclosure_proof_pb2 import DisclosureLogEntry, MapHead
from gateway.transparency.events import DisclosedEvent
from gateway.transparency.salts import Salts
from gateway.transparency.tables import HEADS

_LAST_HEAD: Final = (
    select(HEADS.c.log_index, HEADS.c.event_sequence, HEADS.c.seal)
    .order_by(HEADS.c.log_index.desc())
    .limit(1)
)


def event_entry(event: DisclosedEvent, salt: bytes, member: bytes) -> bytes:
    """Return the leaf data of an event; ``member`` is the digest of the revision that it
    fixed or ended (`creditgate.transparency.facts.event_commitment`)."""
    logged = DisclosureLogEntry()
    entry = logged.event
    # Written in place: of messages this small, to make and copy them costs what to fill them does.
    entry.event_sequence = event.sequence
    entry.kind = event.kind
    entry.event_time.seconds = event.at
    entry.commitment = event_commitment(
        salt, event.kind, event.revision, event.subject, event.item, member
    )
    return logged.SerializeToString(deterministic=True)


def head_entry(head: MapHead) -> bytes:
    """Return the leaf data of a map head."""
    return DisclosureLogEntry(map_head=head).SerializeToString(deterministic=True)


def sealed(salts: Salts, before: bytes, events: Iterable[DisclosedEvent]) -> bytes:
    """Return the seal of all events up to the last of ``events``, given that of those before.

    It covers what the log's commitments do not: who published, and why. Only who has the
    secret of the salts can make it.
    """
    # None of the texts has a zero byte.
    rows = (
        f"{event.sequence}\0{event.kind}\0{event.record_id}\0{event.revision}\0{event.subject}"
        f"\0{event.content_digest.hex()}\0{event.disclosed_from}\0{event.disclosed_until}"
        f"\0{event.at}\0{event.published_by}\0{event.note}"
        for event in events
    )
    return salts.seal("\0".join((before.hex(), *rows)).encode())


def note_head(connection: Connection, log_index: int, event_sequence: int, seal: bytes) -> None:
    """Note that the entry at ``log_index`` is a map head behind an event; ``seal`` is that of
    all events up to it."""
    connection.execute(
        insert(HEADS).values(log_index=log_index, event_sequence=event_sequence, seal=seal)
    )


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
