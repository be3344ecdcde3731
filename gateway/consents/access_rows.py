"""Rows of the usage ledger as uses of a subject's records, and as answers under a consent."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row

from consent.model import Consent
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.consents.access import Access, Answered, Place
from gateway.consents.credited import NOTHING, Credited
from gateway.consents.given_again import GivenAgain, Replayed
from gateway.meter.bearers import bearers_of_lines, licences_of
from gateway.meter.model import LineCount
from gateway.meter.under_consent import RECOGNISED_PREFIX, items_under

LedgerRow = Row[*tuple[Any, ...]]
"""A row of `gateway.meter.tables.USAGE`, or of a revision with its line."""


_NEVER: Final = Replayed()


def entries_of(
    answer: LedgerRow,
    entries: Sequence[int],
    revisions: Mapping[int, LedgerRow],
    consent: Consent | None,
    elsewhere: Collection[str] = (),
    asking_operator: str = "",
    replayed: Replayed = _NEVER,
    credited: Mapping[int, Credited] = NOTHING,
) -> Iterator[Access]:
    """Yield what an answer gave of a subject's records, in the answer's order.

    ``elsewhere`` are items that other regions gave records of for the same question, and
    ``asking_operator`` is as in `Access`; ``replayed`` is what retries were given again,
    ``credited`` what was credited, by its sequence. ``entries`` are the sequences of all it held, ``revisions`` those of them that are the subject's;
    ``consent`` is the subject's own that it rests on, None where it has none. Items looked for under it of which nothing was found come
    last; an answer older than these are kept names none of them.
    """
    prices = {line.line_no: line.unit_price for line in _line_counts(answer.lines)}
    licences = dict(
        zip(prices, bearers_of_lines(answer.licence, answer.licences, answer.lines), strict=True)
    )
    consented = () if consent is None else items_under(consent, answer.asked_items)
    found = set(elsewhere)
    for number, sequence in enumerate(entries):
        revision = revisions.get(sequence)
        if revision is None:
            continue
        under = answer.consent if revision.item in consented else ""
        if under:
            found.add(revision.item)
        fee, licence = prices[revision.line_no], licences[revision.line_no]
        yield _access(
            answer,
            number,
            under,
            revision.item,
            licence,
            asking_operator,
            revision,
            fee,
            replayed.of(sequence),
            credited.get(sequence),
        )
    if consent is None:
        return
    looked_for = answer.asked_items.split() or ([] if found else [""])
    missing = (item for item in looked_for if item not in found)
    looked_under = " ".join(licences_of(answer.licence, answer.licences))
    for number, item in enumerate(missing, len(entries)):
        yield _access(answer, number, answer.consent, item, looked_under, asking_operator)


def _access(
    answer: LedgerRow,
    number: int,
    consent: str,
    item: str,
    licence: str,
    asking_operator: str,
    revision: LedgerRow | None = None,
    fee: int = 0,
    again: GivenAgain | None = None,
    credited: Credited | None = None,
) -> Access:
    return Access(
        place=Place(answer.sequence, number),
        usage_index=answer.usage_index,
        operator_id=answer.operator_id,
        client_id=answer.client_id,
        request_id=answer.request_id,
        record_id="" if revision is None else revision.record_id,
        revision=0 if revision is None else revision.revision,
        item=item,
        source="" if revision is None else revision.source,
        region="" if revision is None else revision.region,
        purpose=Purpose.ValueType(answer.purpose),
        licence=licence,
        consent=consent,
        decision_id=answer.decision_id,
        served_at=answer.served_at,
        fee=fee,
        recognised=revision is None and answer.request_id.startswith(RECOGNISED_PREFIX),
        asking_operator=asking_operator,
        again=again,
        credited=credited,
    )


def answered_of(answer: LedgerRow) -> Answered:
    """Return an answer under a consent."""
    return Answered(
        sequence=answer.sequence,
        operator_id=answer.operator_id,
        client_id=answer.client_id,
        request_id=answer.request_id,
        purpose=Purpose.ValueType(answer.purpose),
        licence=answer.licence,
        licences=licences_of(answer.licence, answer.licences),
        consent=answer.consent,
        decision_id=answer.decision_id,
        served_at=answer.served_at,
        disclosure_sequence=answer.disclosure_sequence,
        records=answer.entry_count,
    )


def _line_counts(lines: str) -> Iterable[LineCount]:
    return (LineCount(*line) for line in json.loads(lines))
