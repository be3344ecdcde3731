"""Clearings and disputes as the contract has them."""

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.clearing_disputes import kind_at
from creditgate.clearing_entries import Version, first_entry
from creditgate.v1 import clearing_service_pb2 as pb
from gateway.federation.clearing.disputed import DisputeRow
from gateway.federation.clearing.store import ClearingRow

_MOST: Final = 2**63 - 1


def clearing_message(row: ClearingRow) -> pb.Clearing:
    """Return a clearing as the contract has it."""
    message = pb.Clearing(
        region=row.region,
        until_time=Timestamp(seconds=row.until),
        proposing_region=row.proposing,
        agreed_entries=row.entries,
        adjusted_entries=row.adjusted,
        owed_micro_yuan=row.owed,
        due_micro_yuan=row.due,
        disputes=row.disputes,
        under_way=row.under_way,
    )
    if row.start:
        message.from_time.seconds = row.start
    if row.agreed_at is not None:
        message.agree_time.seconds = row.agreed_at
    return message


def dispute_message(row: DisputeRow) -> pb.ClearingDispute:
    """Return a dispute as the contract has it."""
    message = pb.ClearingDispute(
        dispute_id=row.dispute_id,
        region=row.region,
        kind=pb.ClearingDisputeKind.ValueType(row.kind),
        supported=pb.ClearingStand.ValueType(row.supported),
        find_time=Timestamp(seconds=row.found),
        stands=pb.ClearingStand.ValueType(row.stands),
        resolved_by=row.resolved_by,
        note=row.note,
        home_version=row.home_version,
        asking_version=row.asking_version,
        home_region=row.home,
        asking_region=row.asking,
        request_id=row.request_id,
        chunk=row.chunk,
    )
    if (home := _version(row.home_claims)) is not None:
        message.home.CopyFrom(home)
    if (asking := _version(row.asking_claims)) is not None:
        message.asking.CopyFrom(asking)
    if (first := first_entry(row.home_first)) is not None:
        message.home_entry.CopyFrom(first.message())
    if (first := first_entry(row.asking_first)) is not None:
        message.asking_entry.CopyFrom(first.message())
    if row.closed is not None:
        message.close_time.seconds = row.closed
    if row.resolved_at is not None:
        message.resolve_time.seconds = row.resolved_at
    return message


def left_out_message(row: DisputeRow, until: int) -> pb.ClearingDispute:
    """Return a dispute as the clearing up to ``until`` (seconds, UTC) left it out."""
    message = dispute_message(row)
    message.kind = kind_at(message.kind, row.served, until)
    return message


def _version(text: str) -> pb.ClearingVersion | None:
    version = Version.read(text)
    if version is None:
        return None
    return pb.ClearingVersion(
        entries=version.entries,
        # What nobody has verified may be any number.
        fee_micro_yuan=min(version.fee, _MOST),
        lines=[
            pb.ClearingLine(
                serve_seconds=line.serve_seconds,
                item=line.item,
                fee_micro_yuan=line.fee,
                entries=line.entries,
            )
            for line in version.lines
        ],
        entries_digest=version.entries_digest,
    )
