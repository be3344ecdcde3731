"""Who used a subject's records, when, and for what, as the usage ledger has it (G7).

An answer under a consent that found nothing is a use of the consent, and told as one.

Uses under a consent, and of other regions' records, are found as soon as they are committed. Other
uses are found by an index that the clerk keeps after the fact, so that serving does not wait for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, Engine, Select, asc, desc, select, text

from consent.model import NAME_PREFIX, Consent
from consent.sql import SqlConsents
from consent.tables import CONSENT, CONSENT_NAME, SUBJECT_USE, SUBJECT_USES
from creditgate.federated_query import CLIENT_PREFIX
from gateway.clock import Clock
from gateway.consents.access import (
    ALWAYS,
    Access,
    AccessPage,
    Answered,
    Period,
    Place,
    Under,
)
from gateway.consents.access_rows import LedgerRow, answered_of, entries_of
from gateway.consents.credited import Credits
from gateway.consents.followed import come_to
from gateway.consents.given_again import Replays
from gateway.consents.region_accesses import GivenElsewhere, charged, questions
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.region_asks import asked_for
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
        ``period`` and before the place ``before``; empty narrows nothing. Those under a part of a
        consent are what its region gave under the whole, and told as such.
        """
        under = self._under(consent)
        found: list[Access] = []
        looked_at = 0
        with reading(self._engine) as connection:
            while looked_at < _MOST_ANSWERS_A_PAGE:
                wanted = _narrowed(operator_id, period, before)
                sequences = _of_subject(connection, wanted, subject, under, newest_first=True)
                for access in self._accesses(connection, sequences, subject):
                    if (before and access.place >= before) or not under.has(access):
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
        """Return up to ``limit`` records served under ``consent`` after a place, oldest first, with
        what of them was credited."""
        found: list[Access] = []
        sequence, under = after.sequence, self._under(consent.name)
        with reading(self._engine) as connection:
            while True:
                wanted = _narrowed("", period, None).where(USAGE.c.sequence >= sequence)
                sequences = _of_subject(
                    connection, wanted, consent.subject, under, newest_first=False
                )
                of_answers = sequences[::-1]
                accesses = list(
                    self._accesses(connection, of_answers, consent.subject, credits_too=True)
                )
                found += (
                    access
                    for access in reversed(accesses)
                    if access.record_id and access.place > after and under.has(access)
                )
                if len(found) >= limit or len(sequences) < _ANSWERS_AT_ONCE:
                    return tuple(found[:limit])
                sequence = sequences[-1] + 1

    def answers(
        self, consent: Consent, *, period: Period, after: int, limit: int
    ) -> tuple[Answered, ...]:
        """Return up to ``limit`` answers under ``consent`` with a sequence greater than
        ``after``, oldest first."""
        found: list[Answered] = []
        under = self._under(consent.name)
        with reading(self._engine) as connection:
            while True:
                wanted = _narrowed("", period, None).where(USAGE.c.sequence > after)
                sequences = _of_subject(
                    connection, wanted, consent.subject, under, newest_first=False
                )
                # What charges other regions' records is no answer of its own.
                query = select(USAGE).where(
                    USAGE.c.sequence.in_(sequences), USAGE.c.consent == under.consent
                )
                rows = connection.execute(query.order_by(USAGE.c.sequence))
                found += map(answered_of, rows)
                if len(found) >= limit or len(sequences) < _ANSWERS_AT_ONCE:
                    return tuple(found[:limit])
                after = sequences[-1]

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
        self,
        connection: Connection,
        sequences: Sequence[int],
        subject: str,
        *,
        credits_too: bool = False,
    ) -> Iterator[Access]:
        """Yield what these answers gave of a subject's records, in the answers' order, of each
        the last record first; with ``credits_too`` which of them were credited."""
        consents: dict[str, Consent | None] = {}
        for start in range(0, len(sequences), _ANSWERS_A_QUERY):
            wanted = sequences[start : start + _ANSWERS_A_QUERY]
            query = select(USAGE).where(USAGE.c.sequence.in_(wanted))
            answers = {row.sequence: row for row in connection.execute(query)}
            entries = {
                sequence: unpack_entries(answer.entries) for sequence, answer in answers.items()
            }
            revisions = _revisions(connection, set().union(*entries.values()), subject)
            elsewhere = GivenElsewhere(connection, answers.values())
            asking = _asking(connection, answers.values())
            replays = Replays(connection, answers.values())
            reversed_ = Credits(connection, answers.values() if credits_too else ())
            for sequence in wanted:
                answer = answers[sequence]
                name = answer.consent or elsewhere.under(answer)
                if name not in consents:
                    consents[name] = self._consent(name, subject)
                consent = consents[name]
                if not answer.consent:
                    yield from reversed([*elsewhere.accesses(answer, subject, consent)])
                given = set() if consent is None else elsewhere.found(answer, consent)
                own = consent if answer.consent else None
                for_whom = asking.get(sequence, "")
                found = entries_of(
                    answer,
                    entries[sequence],
                    revisions,
                    own,
                    given,
                    for_whom,
                    replays.of(answer),
                    reversed_.of(answer),
                )
                yield from reversed(list(found))

    def _under(self, name: str) -> Under:
        """Return which uses are meant by the resource name of a consent, "" for all."""
        part = self._consents.part_of(name.removeprefix(NAME_PREFIX))
        return Under(name) if part is None else Under(NAME_PREFIX + part.consent_id, part.region)

    def _consent(self, name: str, subject: str) -> Consent | None:
        """Return the consent of that name if it is the subject's own: in a batch other
        subjects' public records may come along."""
        consent_id = name.removeprefix(NAME_PREFIX)
        consent = self._consents.readable([consent_id]).get(consent_id) if name else None
        return consent if consent is not None and consent.subject == subject else None


def _narrowed(operator_id: str, period: Period, before: Place | None) -> Select[int]:
    query = select(USAGE.c.sequence).where(USAGE.c.kind == ANSWER).limit(_ANSWERS_AT_ONCE)
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


def _of_subject(
    connection: Connection,
    wanted: Select[int],
    subject: str,
    under: Under,
    *,
    newest_first: bool,
) -> list[int]:
    """Return the sequences of answers, of those ``wanted``, that gave records of a subject or rest
    on its consents, as far as they are ``under`` the one meant."""
    order = desc if newest_first else asc
    elsewhere = charged(wanted, subject, under).order_by(order(USAGE.c.sequence))
    found = set(connection.execute(elsewhere).scalars())
    if under.consent:
        wanted = questions(wanted, under)
    # In this order: what the index takes up meanwhile is found twice, not never.
    found.update(_not_indexed_yet(connection, wanted.order_by(order(USAGE.c.sequence)), subject))
    indexed = (
        wanted.join(SUBJECT_USE, SUBJECT_USE.c.usage_sequence == USAGE.c.sequence)
        .where(SUBJECT_USE.c.subject == subject)
        .order_by(order(SUBJECT_USE.c.usage_sequence))
    )
    found |= set(connection.execute(indexed).scalars())
    return sorted(found, reverse=newest_first)[:_ANSWERS_AT_ONCE]


def _not_indexed_yet(connection: Connection, wanted: Select[int], subject: str) -> Iterator[int]:
    """Yield the answers under the subject's consents that the index does not have yet."""
    given = select(CONSENT.c.operator_id).where(CONSENT.c.subject == subject).distinct()
    for operator_id in connection.execute(given).scalars().all():
        names = select(CONSENT_NAME).where(
            CONSENT.c.subject == subject, CONSENT.c.operator_id == operator_id
        )
        # By operator, so that even a poor plan reads no more than what is left to index.
        query = wanted.where(
            USAGE.c.operator_id == operator_id,
            USAGE.c.sequence > come_to(connection, SUBJECT_USES + operator_id),
            USAGE.c.consent.in_(names),
            _UNDER_CONSENT,
        )
        yield from connection.execute(query).scalars()


def _asking(connection: Connection, answers: Iterable[LedgerRow]) -> dict[int, str]:
    """Return, by the answer's sequence, for which of its operators a region asked."""
    of_regions = {
        row.sequence: (row.operator_id, bytes(row.payload_digest))
        for row in answers
        if row.client_id.startswith(CLIENT_PREFIX)
    }
    asked = asked_for(connection, [digest for _, digest in of_regions.values()])
    return {sequence: asked[by].operator for sequence, by in of_regions.items() if by in asked}


def _revisions(
    connection: Connection, sequences: Iterable[int], subject: str
) -> dict[int, LedgerRow]:
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
