"""A usage ledger kept in a list: the reader's port for tests of settlement."""

from dataclasses import dataclass, field

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.settle.usage import (
    AnswerPage,
    MeteredAnswer,
    MeteredEntry,
    MeteredLine,
)


@dataclass
class ListedUsage:
    """`gateway.settle.usage.UsageReader` over answers in order of sequence."""

    rows: list[MeteredAnswer] = field(default_factory=list)

    def serve(
        self,
        operator_id: str,
        served_at: int,
        *entries: MeteredEntry,
        request_id: str = "r",
        consent: str = "",
    ) -> MeteredAnswer:
        """Enter one answer of these entries."""
        counts: dict[tuple[str, str, str, int], int] = {}
        for entry in entries:
            key = entry.item, entry.source, entry.region, entry.unit_price
            counts[key] = counts.get(key, 0) + 1
        answer = MeteredAnswer(
            sequence=len(self.rows) + 1,
            usage_index=sum(each.operator_id == operator_id for each in self.rows),
            operator_id=operator_id,
            client_id=f"{operator_id}-client",
            request_id=request_id,
            chunk=0,
            purpose=Purpose.PURPOSE_BIDDING,
            licence="L-1",
            consent=consent,
            decision_id=f"d-{len(self.rows) + 1}",
            served_at=served_at,
            lines=tuple(
                MeteredLine(item, source, region, count, price)
                for (item, source, region, price), count in counts.items()
            ),
            entries=entries,
        )
        self.rows.append(answer)
        return answer

    def answers(
        self,
        operator_id: str,
        *,
        from_: int | None,
        until: int | None,
        request_id: str,
        after: int,
        least_entries: int,
    ) -> AnswerPage:
        """See the port."""
        found = [
            row
            for row in self.rows
            if row.operator_id == operator_id
            and row.sequence > after
            and row.entries
            and (from_ is None or row.served_at >= from_)
            and (until is None or row.served_at < until)
            and request_id in {"", row.request_id}
        ]
        taken = entries = 0
        while taken < len(found) and entries < least_entries:
            entries += len(found[taken].entries)
            taken += 1
        return AnswerPage(tuple(found[:taken]), more=taken < len(found))


def entry(
    record_id: str = "rec-1",
    *,
    item: str = "penalty",
    source: str = "mem",
    region: str = "11",
    unit_price: int = 7,
) -> MeteredEntry:
    """Return one record served."""
    return MeteredEntry(record_id, 1, item, source, region, unit_price, "L-1")
