"""What the scenes of the demo share: who is connected, and what each was charged."""

from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc

from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli.calls import Gateway
from gateway.cli.output import Sheet, utc, yuan
from gateway.demo.cast import Party
from gateway.demo.invented import InventedRecords
from gateway.demo.sources import Loaded
from gateway.installation.home import Home
from sdk.refusals import explain
from sdk.request_ids import new_request_id

SERVED = "served"
CHECK = Purpose.PURPOSE_SUPPLIER_CHECK
Served = pb.GetSubjectRecordsResponse | pb.GetRecordResponse
"""An answer to one question."""


@dataclass(slots=True)
class Charges:
    """What one operator's receipts come to, by calendar month (UTC)."""

    entries: Counter[str] = field(default_factory=Counter[str])
    micro_yuan: Counter[str] = field(default_factory=Counter[str])

    def add(self, receipt: pb.Receipt) -> None:
        """Count a receipt in."""
        served_at = receipt.serve_time.seconds
        self.count(served_at, receipt.charged_entries, receipt.charged_micro_yuan)

    def count(self, served_at: int, entries: int, micro_yuan: int) -> None:
        """Count in what was charged at ``served_at`` (seconds, UTC)."""
        month = f"{datetime.fromtimestamp(served_at, UTC):%Y-%m}"
        self.entries[month] += entries
        self.micro_yuan[month] += micro_yuan


@dataclass(frozen=True, slots=True)
class Player:
    """An operator's client, connected; it keeps its answers, what they were charged, and what
    it was served last."""

    party: Party
    gateway: Gateway
    charges: Charges = field(default_factory=Charges)
    copies: dict[str, DisclosedRecord] = field(default_factory=dict[str, DisclosedRecord])
    answers: list[Served] = field(default_factory=list[Served])

    async def subject(
        self,
        subject: str,
        *items: str,
        purpose: Purpose.ValueType = CHECK,
        request_id: str = "",
        consent: str = "",
    ) -> pb.GetSubjectRecordsResponse:
        """Ask for a subject's records. Raises grpc.RpcError."""
        request = pb.GetSubjectRecordsRequest(
            subject=subject,
            items=items,
            purpose=purpose,
            request_id=request_id or new_request_id(),
            consent=consent,
        )
        answer = await self.gateway.ask(request, pb.GetSubjectRecordsResponse)
        self.keep(answer)
        return answer

    async def record(self, record_id: str) -> pb.GetRecordResponse:
        """Ask for one record. Raises grpc.RpcError."""
        request = pb.GetRecordRequest(
            name=f"records/{record_id}", purpose=CHECK, request_id=new_request_id()
        )
        answer = await self.gateway.ask(request, pb.GetRecordResponse)
        self.keep(answer)
        return answer

    def keep(self, answer: Served) -> None:
        """Keep an answer, and its records in the place of earlier revisions."""
        self.answers.append(answer)
        self.charges.add(answer.receipt)
        self.copies.update((record.name, record) for record in answer.records)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everybody, and the records they ask for."""

    home: Home
    administrator: Gateway
    publisher: Gateway
    alpha: Player
    beta: Player
    gamma: Player
    invented: InventedRecords
    loaded: Loaded


async def outcome(call: Awaitable[Any]) -> str:
    """Return why a call was refused, or that it was served."""
    try:
        await call
    except grpc.RpcError as error:
        refusal = explain(error)
        return refusal.reason or refusal.status
    return SERVED


def answered(records: int, micro_yuan: int) -> str:
    """Return how an answer is told: how many records, for how much."""
    return f"{records} record{'' if records == 1 else 's'} for {yuan(micro_yuan)} yuan"


def answered_by(answer: Served) -> str:
    """Return what an answer came to."""
    return answered(len(answer.records), answer.receipt.charged_micro_yuan)


def found(records: Iterable[DisclosedRecord], record_id: str) -> DisclosedRecord | None:
    """Return the record of an id among an answer's records."""
    return next((each for each in records if each.name == f"records/{record_id}"), None)


def shown_records(records: Iterable[DisclosedRecord]) -> Sheet:
    """Return an answer's records by their whole names, without their contents."""
    return Sheet(
        "The records of the answer",
        ("record", "revision", "shown until"),
        [
            (
                record.name,
                str(record.revision),
                utc(record.disclosed_until) or "no end",
            )
            for record in records
        ],
        frozenset({"revision"}),
    )
