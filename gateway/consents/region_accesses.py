"""Records of other regions that operators of this one were given, as uses of their subjects (G7).

Each chunk of another region's answer is charged by an answer of the ledger without entries: that is
where its records stand among all uses.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, exists, or_, select, tuple_

from consent.model import Consent
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.consents.access import Access, Place, Under
from gateway.consents.given_again import GivenAgain
from gateway.consents.region_again import RegionAgain
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.meter.tables import USAGE

_U: Final = REGION_USES.c
_A: Final = REGION_ANSWERS.c
_CHUNKS_A_QUERY: Final = 100
LedgerRow = Row[*tuple[Any, ...]]
_CHARGED: Final = and_(
    _U.operator_id == USAGE.c.operator_id,
    _U.region_request_id == USAGE.c.request_id,
    _U.first_subject == USAGE.c.chunk,
)
_ANSWERED: Final = and_(
    _A.operator_id == _U.operator_id,
    _A.request_id == _U.request_id,
    _A.region == _U.region,
    _A.first_subject == _U.first_subject,
)


def charged(wanted: Select[int], subject: str, under: Under) -> Select[int]:
    """Return the statement for those of the ledger's answers ``wanted`` that charge records of
    ``subject``, as far as they are ``under`` the consent meant."""
    found = wanted.join(REGION_USES, _CHARGED).where(_U.subject == subject).distinct()
    if under.region:
        found = found.where(_U.region == under.region)
    if not under.consent:
        return found
    opened = or_(_U.opened, _U.opened.is_(None))
    return found.join(REGION_ANSWERS, _ANSWERED).where(_A.consent == under.consent, opened)


def questions(wanted: Select[int], under: Under) -> Select[int]:
    """Return the statement for those of the ledger's answers ``wanted`` that rest on the consent
    meant by ``under`` themselves; of what one region gave under it, the questions that it
    answered."""
    wanted = wanted.where(USAGE.c.consent == under.consent)
    if not under.region:
        return wanted
    answered = exists().where(
        _A.operator_id == USAGE.c.operator_id,
        _A.request_id == USAGE.c.request_id,
        _A.region == under.region,
    )
    return wanted.where(answered)


class GivenElsewhere:
    """What other regions gave by some answers of the ledger.

    ``answers`` are rows of `gateway.meter.tables.USAGE` with their operators and requests.
    """

    def __init__(self, connection: Connection, answers: Iterable[LedgerRow]) -> None:
        rows = [row for row in answers if not row.entry_count]
        self._given = _given(connection, [row for row in rows if not row.consent])
        self._again = RegionAgain(
            connection, (use for some in self._given.values() for use in some)
        )
        self._found = _found(connection, [row for row in rows if row.consent])

    def under(self, answer: LedgerRow) -> str:
        """Return the resource name of the consent that what an answer charges rests on, "" for
        none."""
        given = self._given.get(_chunk_of(answer), ())
        return given[0].consent if given else ""

    def found(self, question: LedgerRow, consent: Consent) -> set[str]:
        """Return the items of which a question to other regions was given records of the subject
        of the ``consent`` it rests on, under that."""
        given = self._found.get((question.operator_id, question.request_id), ())
        return {row.own_item for row in given if _is_under(consent, row)}

    def accesses(
        self, answer: LedgerRow, subject: str, consent: Consent | None
    ) -> Iterator[Access]:
        """Yield the records of a subject that an answer charges; ``consent`` is the subject's own
        that it rests on, None where it has none."""
        for number, use in enumerate(self._given.get(_chunk_of(answer), ())):
            if use.subject == subject:
                under = consent is not None and _is_under(consent, use)
                yield _access(
                    answer, number, use, use.consent if under else "", self._again.of(use)
                )


def _given(
    connection: Connection, answers: Sequence[LedgerRow]
) -> Mapping[tuple[str, str, int], list[LedgerRow]]:
    """Return what answers charge, by what they are known by. All a chunk has: what was not passed
    on has its number, too."""
    query = select(REGION_USES, _A.consent).join(REGION_ANSWERS, _ANSWERED)
    key = tuple_(_U.operator_id, _U.region_request_id, _U.first_subject)
    found: dict[tuple[str, str, int], list[LedgerRow]] = defaultdict(list)
    for start in range(0, len(answers), _CHUNKS_A_QUERY):
        chunks = [_chunk_of(row) for row in answers[start : start + _CHUNKS_A_QUERY]]
        ordered = query.where(key.in_(chunks)).order_by(_U.record_id, _U.revision)
        for use in connection.execute(ordered):
            found[use.operator_id, use.region_request_id, use.first_subject].append(use)
    return found


def _found(
    connection: Connection, questions: Sequence[LedgerRow]
) -> Mapping[tuple[str, str], list[LedgerRow]]:
    """Return what questions to other regions were given, by operator and request."""
    query = select(_U.operator_id, _U.request_id, _U.subject, _U.own_item, _U.opened).distinct()
    key = tuple_(_U.operator_id, _U.request_id)
    found: dict[tuple[str, str], list[LedgerRow]] = defaultdict(list)
    for start in range(0, len(questions), _CHUNKS_A_QUERY):
        some = [(row.operator_id, row.request_id) for row in questions[start:][:_CHUNKS_A_QUERY]]
        for use in connection.execute(query.where(key.in_(some))):
            found[use.operator_id, use.request_id].append(use)
    return found


def _is_under(consent: Consent, use: LedgerRow) -> bool:
    """Tell whether a record was given under a consent; in older answers by its items."""
    by_item = use.opened is None and use.own_item in consent.terms.fields_by_item
    return use.subject == consent.subject and (bool(use.opened) or by_item)


def _chunk_of(answer: LedgerRow) -> tuple[str, str, int]:
    return answer.operator_id, answer.request_id, answer.chunk


def _access(
    answer: LedgerRow, number: int, use: LedgerRow, consent: str, again: GivenAgain | None
) -> Access:
    return Access(
        place=Place(answer.sequence, number),
        usage_index=answer.usage_index,
        operator_id=answer.operator_id,
        client_id=answer.client_id,
        # The operator's own: the ledger has that which the region knows.
        request_id=use.request_id,
        record_id=use.record_id,
        revision=use.revision,
        item=use.own_item,
        source=use.source,
        region=use.region_code,
        purpose=Purpose.ValueType(answer.purpose),
        licence=answer.licence,
        consent=consent,
        decision_id=answer.decision_id,
        served_at=answer.served_at,
        fee=use.own_fee,
        home_region=use.region,
        again=again,
    )
