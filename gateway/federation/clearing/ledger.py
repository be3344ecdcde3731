"""What both ledgers of this region have of the uses between it and another: entries to clear.

Where it is home, the usage ledger; where it asked, what it kept of the other's answers with
their receipts. Calls block.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Engine, func, select

from creditgate.clearing_amounts import NOT_TOLD
from creditgate.clearing_entries import ClearingEntry
from creditgate.federated_query import region_client_id
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.strict import strictly
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from gateway.disclose.tables import REVISIONS
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.asking.uses import RegionAnswer
from gateway.meter.model import ANSWER
from gateway.meter.reader import SqlUsageReader
from gateway.meter.tables import USAGE
from gateway.settle.usage import MeteredAnswer
from gateway.storage.engines import reading
from gateway.storage.paging import pages

_AT_ONCE: Final = 10_000
_SLICE_SECONDS: Final = 900


class Used(NamedTuple):
    """An entry, with what else decides about its price: the source and district of its record, for
    which purpose it was used, and whom it is about, `NOT_TOLD` where that is not in the ledger
    itself."""

    entry: ClearingEntry
    source: str
    district: str
    purpose: int
    subject: str


OperatorOf = Callable[[str], str]
"""Gives the operator that a region is here, by entity id: "" for one that never was admitted."""


class RegionLedger:
    """The entries between ``own`` and other regions; any thread."""

    def __init__(self, records: Engine, own: str, operator_of: OperatorOf) -> None:
        self._records = records
        self._own = own
        self._operator_of = operator_of
        self._served = SqlUsageReader(records)
        self._asked = RegionUses(records)

    def entries(self, region: str, from_: int, until: int) -> Iterator[ClearingEntry]:
        """Give the entries of [from_, until) (seconds, UTC), in no order."""
        return (used.entry for used in self.used(region, from_, until))

    def used(self, region: str, from_: int, until: int) -> Iterator[Used]:
        """Give the entries of [from_, until) with what else decides about their price."""
        for answer in self._answers(region, from_, until):
            yield from self.used_in(region, answer)
        for asked in self._asked_of(region, from_, until):
            uses = self._asked.uses(asked)
            chunk = _chunk(asked) if uses else 0
            for use in uses:
                yield Used(
                    ClearingEntry(
                        region,
                        self._own,
                        asked.region_request_id,
                        chunk,
                        use.record_id,
                        use.revision,
                        use.item,
                        asked.served_at,
                        use.fee,
                    ),
                    use.source,
                    use.region_code,
                    asked.purpose,
                    use.subject,
                )

    def used_in(self, region: str, answer: MeteredAnswer) -> Iterator[Used]:
        """Give the entries of an answer that was given to a region."""
        for entry in answer.entries:
            yield Used(
                ClearingEntry(
                    self._own,
                    region,
                    answer.request_id,
                    answer.chunk,
                    entry.record_id,
                    entry.revision,
                    entry.item,
                    answer.served_at,
                    entry.unit_price,
                ),
                entry.source,
                entry.region,
                answer.purpose,
                NOT_TOLD,
            )

    def subjects(self, entries: Collection[ClearingEntry]) -> Mapping[tuple[str, int], str]:
        """Return whom records of this region are about, by id and revision."""
        named = REVISIONS.c
        found: dict[tuple[str, int], str] = {}
        with reading(self._records) as connection:
            for some in pages({each.record_id for each in entries}):
                query = select(named.record_id, named.revision, named.subject).where(
                    named.record_id.in_(some)
                )
                found |= {(row[0], row[1]): row[2] for row in connection.execute(query)}
        return found

    def count(self, region: str, from_: int, until: int) -> int:
        """Return how many there are."""
        served = select(func.coalesce(func.sum(USAGE.c.entry_count), 0)).where(
            USAGE.c.operator_id == self._operator_of(region),
            USAGE.c.served_at >= from_,
            USAGE.c.served_at < until,
            USAGE.c.client_id == region_client_id(region),
            USAGE.c.kind == ANSWER,
        )
        asked = select(func.count()).where(
            REGION_USES.c.region == region,
            REGION_USES.c.served_at >= from_,
            REGION_USES.c.served_at < until,
        )
        with reading(self._records) as connection:
            return sum(int(connection.execute(query).scalar_one()) for query in (served, asked))

    def served(self, region: str, request_id: str, chunk: int) -> MeteredAnswer | None:
        """Return an answer that was given to a region, None where there is none."""
        operator_id, client_id = self._operator_of(region), region_client_id(region)
        page = self._served.answers(
            operator_id, from_=None, until=None, request_id=request_id, after=0, least_entries=1
        )
        while page.answers:
            for answer in page.answers:
                if answer.chunk == chunk and answer.client_id == client_id:
                    return answer
            page = self._served.answers(
                operator_id,
                from_=None,
                until=None,
                request_id=request_id,
                after=page.answers[-1].sequence,
                least_entries=1,
            )
        return None

    def receipt(self, region: str, request_id: str, chunk: int) -> bytes | None:
        """Return the receipt that a region signed for an answer, None where none is kept."""
        query = select(REGION_ANSWERS.c.receipt).where(
            REGION_ANSWERS.c.region == region, REGION_ANSWERS.c.region_request_id == request_id
        )
        with reading(self._records) as connection:
            for (receipt,) in connection.execute(query):
                try:
                    found = _leaf(bytes(receipt))
                except ProofInvalid:
                    continue
                if found.chunk == chunk:
                    return bytes(receipt)
        return None

    def _answers(self, region: str, from_: int, until: int) -> Iterator[MeteredAnswer]:
        operator_id, client_id = self._operator_of(region), region_client_id(region)
        after, more = 0, bool(operator_id)
        while more:
            page = self._served.answers(
                operator_id,
                from_=from_,
                until=until,
                request_id="",
                after=after,
                least_entries=_AT_ONCE,
            )
            for answer in page.answers:
                after = answer.sequence
                if answer.client_id == client_id:
                    yield answer
            more = page.more

    def _asked_of(self, region: str, from_: int, until: int) -> Iterator[RegionAnswer]:
        query = select(func.min(REGION_ANSWERS.c.served_at)).where(
            REGION_ANSWERS.c.region == region, REGION_ANSWERS.c.served_at >= from_
        )
        while True:
            with reading(self._records) as connection:
                start = connection.execute(query).scalar()
            if start is None or start >= until:
                return
            end = min(start + _SLICE_SECONDS, until)
            yield from self._asked.answers(region, start, end)
            query = select(func.min(REGION_ANSWERS.c.served_at)).where(
                REGION_ANSWERS.c.region == region, REGION_ANSWERS.c.served_at >= end
            )


def _chunk(answer: RegionAnswer) -> int:
    """Return the number of an answer by its receipt: where that was damaged, none has it."""
    try:
        return _leaf(answer.receipt).chunk
    except ProofInvalid:
        return 0


def _leaf(receipt: bytes) -> UsageLeaf:
    return strictly(UsageLeaf, strictly(UsageReceipt, receipt).leaf)
