"""Who used a subject's records, when, and for what, as the usage ledger has it (G7).

Uses under a consent are found as soon as they are committed. Other uses are found by an
index that the clerk keeps after the fact, so that serving does not wait for it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Select, literal, select, text

from consent.model import Consent
from consent.sql import SqlConsents
from consent.tables import CONSENT, SUBJECT_USE
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.clock import Clock
from gateway.consents.access import ALWAYS, Access, AccessPage, Period, Place
from gateway.consents.followed import SUBJECT_USES, come_to
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.model import LineCount, unpack_entries
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading

__all__ = ["ALWAYS", "Access", "AccessPage", "Accesses", "Period", "Place"]

_ANSWERS_AT_ONCE: Final = 100
_MOST_ANSWERS_A_PAGE: Final = 1_000
_ANSWERS_A_QUERY: Final = 20
_KEYS_A_QUERY: Final = 500
_COMMIT_SECONDS: Final = 60
"""An answer is committed within this after the instant it carries."""
# Spelled out, so that the partial index serves.
_UNDER_CONSENT: Final = text("usage_answers.consent <> ''")
_NAME: Final = literal("consents/") + CONSENT.c.consent_id

_Answer = Row[*tuple[Any, ...]]


class Accesses:
    """Reads the ledger for subjects. Calls block.

    ``engine`` is that of records and usage; ``operators`` gives the ids of all operators.
    """

    def __init__(
        self,
        engine: Engine,
        consents: SqlConsents,
        operators: Callable[[], Iterable[str]],
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._consents = consents
        self._operators = operators
        self._clock = clock

    def of_subject(
        self,
        subject: str,
        *,
        operator_id: str = "",
        consent: str = "",
        period: Period = ALWAYS,
        before: Place | None = None,
        limit: int,
    ) -> AccessPage:
        """Return up to ``limit`` accesses to a subject's records, newest first.

        Only those by ``operator_id`` and under ``consent``, a resource name, within
        ``period`` and before the place ``before``; empty narrows nothing.
        """
        found: list[Access] = []
        looked_at = 0
        with reading(self._engine) as connection:
            while looked_at < _MOST_ANSWERS_A_PAGE:
                wanted = _narrowed(operator_id, period, before)
                if consent:
                    sequences = _under_consent(connection, wanted, consent)
                else:
                    sequences = _of_subject(connection, wanted, subject)
                for access in self._accesses(connection, sequences, subject):
                    if (before and access.place >= before) or consent not in {"", access.consent}:
                        continue
                    if len(found) == limit:
                        return AccessPage(tuple(found), found[-1].place)
                    found.append(access)
                if len(sequences) < _ANSWERS_AT_ONCE:
                    return AccessPage(tuple(found), None)
                looked_at += len(sequences)
                before = Place(sequences[-1], 0)
        return AccessPage(tuple(found), before)

    def under_consent(
        self, consent: Consent, *, period: Period, after: Place, limit: int
    ) -> tuple[Access, ...]:
        """Return up to ``limit`` accesses under ``consent`` after a place, oldest first."""
        found: list[Access] = []
        sequence = after.sequence
        with reading(self._engine) as connection:
            while True:
                query = (
                    _narrowed("", period, None)
                    .where(
                        USAGE.c.consent == consent.name,
                        _UNDER_CONSENT,
                        USAGE.c.sequence >= sequence,
                    )
                    .order_by(USAGE.c.sequence)
                )
                sequences = connection.execute(query).scalars().all()
                accesses = list(self._accesses(connection, sequences[::-1], consent.subject))
                found += (
                    access
                    for access in reversed(accesses)
                    if access.consent and access.place > after
                )
                if len(found) >= limit or len(sequences) < _ANSWERS_AT_ONCE:
                    return tuple(found[:limit])
                sequence = sequences[-1] + 1

    def complete_until(self) -> int:
        """Return the instant (seconds, UTC) up to which uses of public records are found.

        Raises what ``operators`` raises.
        """
        oldest = self._clock.now()
        with reading(self._engine) as connection:
            for operator_id in self._operators():
                query = (
                    select(USAGE.c.served_at)
                    .where(
                        USAGE.c.operator_id == operator_id,
                        USAGE.c.sequence > come_to(connection, SUBJECT_USES + operator_id),
                    )
                    .order_by(USAGE.c.sequence)
                    .limit(1)
                )
                waiting = connection.execute(query).scalar()
                oldest = oldest if waiting is None else min(oldest, waiting)
        return max(0, oldest - _COMMIT_SECONDS)

    def _accesses(
        self, connection: Connection, sequences: Sequence[int], subject: str
    ) -> Iterator[Access]:
        """Yield what these answers gave of a subject's records, in the answers' order, of each
        the last record first."""
        consents: dict[str, Consent | None] = {}
        for start in range(0, len(sequences), _ANSWERS_A_QUERY):
            wanted = sequences[start : start + _ANSWERS_A_QUERY]
            query = select(USAGE).where(USAGE.c.sequence.in_(wanted))
            answers = {row.sequence: row for row in connection.execute(query)}
            entries = {
                sequence: unpack_entries(answer.entries) for sequence, answer in answers.items()
            }
            revisions = _revisions(connection, set().union(*entries.values()), subject)
            for sequence in wanted:
                name = answers[sequence].consent
                if name not in consents:
                    consents[name] = self._consent(name, subject)
                found = _entries(answers[sequence], entries[sequence], revisions, consents[name])
                yield from reversed(list(found))

    def _consent(self, name: str, subject: str) -> Consent | None:
        """Return the consent of that name if it is the subject's own: in a batch other
        subjects' public records may come along."""
        consent = self._consents.get(name.removeprefix("consents/")) if name else None
        return consent if consent is not None and consent.subject == subject else None


def _narrowed(operator_id: str, period: Period, before: Place | None) -> Select[int]:
    query = select(USAGE.c.sequence).where(USAGE.c.entry_count > 0).limit(_ANSWERS_AT_ONCE)
    if operator_id:
        query = query.where(USAGE.c.operator_id == operator_id)
    if period.from_ is not None:
        query = query.where(USAGE.c.served_at >= period.from_)
    if period.until is not None:
        query = query.where(USAGE.c.served_at < period.until)
    if before is not None:
        # Of the answer itself more may be left, unless its first record was the last shown.
        query = query.where(USAGE.c.sequence < before.sequence + (before.number > 0))
    return query


def _under_consent(connection: Connection, wanted: Select[int], consent: str) -> list[int]:
    query = wanted.where(USAGE.c.consent == consent, _UNDER_CONSENT)
    return list(connection.execute(query.order_by(USAGE.c.sequence.desc())).scalars())


def _of_subject(connection: Connection, wanted: Select[int], subject: str) -> list[int]:
    # In this order: what the index takes up meanwhile is found twice, not never.
    found = set(_not_indexed_yet(connection, wanted, subject))
    indexed = (
        wanted.join(SUBJECT_USE, SUBJECT_USE.c.usage_sequence == USAGE.c.sequence)
        .where(SUBJECT_USE.c.subject == subject)
        .order_by(SUBJECT_USE.c.usage_sequence.desc())
    )
    found |= set(connection.execute(indexed).scalars())
    return sorted(found, reverse=True)[:_ANSWERS_AT_ONCE]


def _not_indexed_yet(connection: Connection, wanted: Select[int], subject: str) -> Iterator[int]:
    """Yield the answers under the subject's consents that the index does not have yet."""
    given = select(CONSENT.c.operator_id).where(CONSENT.c.subject == subject).distinct()
    for operator_id in connection.execute(given).scalars().all():
        names = select(_NAME).where(
            CONSENT.c.subject == subject, CONSENT.c.operator_id == operator_id
        )
        # By operator, so that even a poor plan reads no more than what is left to index.
        query = wanted.where(
            USAGE.c.operator_id == operator_id,
            USAGE.c.sequence > come_to(connection, SUBJECT_USES + operator_id),
            USAGE.c.consent.in_(names),
            _UNDER_CONSENT,
        )
        yield from connection.execute(query.order_by(USAGE.c.sequence.desc())).scalars()


def _entries(
    answer: _Answer,
    entries: Sequence[int],
    revisions: Mapping[int, _Answer],
    consent: Consent | None,
) -> Iterator[Access]:
    prices = {line.line_no: line.unit_price for line in _line_counts(answer.lines)}
    consented = frozenset[str]() if consent is None else consent.terms.fields_by_item.keys()
    for number, sequence in enumerate(entries):
        revision = revisions.get(sequence)
        if revision is None:
            continue
        yield Access(
            place=Place(answer.sequence, number),
            operator_id=answer.operator_id,
            client_id=answer.client_id,
            request_id=answer.request_id,
            record_id=revision.record_id,
            revision=revision.revision,
            item=revision.item,
            source=revision.source,
            region=revision.region,
            purpose=Purpose.ValueType(answer.purpose),
            licence=answer.licence,
            consent=answer.consent if revision.item in consented else "",
            decision_id=answer.decision_id,
            served_at=answer.served_at,
            fee=prices[revision.line_no],
        )


def _line_counts(lines: str) -> Iterable[LineCount]:
    return (LineCount(*line) for line in json.loads(lines))


def _revisions(
    connection: Connection, sequences: Iterable[int], subject: str
) -> dict[int, _Answer]:
    query = (
        select(
            REVISIONS.c.sequence,
            REVISIONS.c.record_id,
            REVISIONS.c.revision,
            REVISIONS.c.line_no,
            LINES.c.item,
            LINES.c.source,
            LINES.c.region,
        )
        .join(LINES, LINES.c.line_no == REVISIONS.c.line_no)
        .where(REVISIONS.c.subject == subject)
    )
    ordered = sorted(sequences)
    return {
        row.sequence: row
        for start in range(0, len(ordered), _KEYS_A_QUERY)
        for row in connection.execute(
            query.where(REVISIONS.c.sequence.in_(ordered[start : start + _KEYS_A_QUERY]))
        )
    }
