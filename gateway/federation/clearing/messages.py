"""Clearings and disputes as the contract has them."""

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import clearing_service_pb2 as pb
from gateway.federation.clearing.disputed import DisputeRow, dispute_in
from gateway.federation.clearing.stands import ASKING, HOME, stand_of
from gateway.federation.clearing.store import ClearingRow


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
    dispute = dispute_in(row)
    message = pb.ClearingDispute(
        dispute_id=row.dispute_id,
        region=row.region,
        kind=dispute.kind,
        supported=pb.ClearingStand.ValueType(row.supported),
        find_time=Timestamp(seconds=row.found),
        stands=pb.ClearingStand.ValueType(row.stands),
        resolved_by=row.resolved_by,
        note=row.note,
        home_version=stand_of(dispute, HOME).version,
        asking_version=stand_of(dispute, ASKING).version,
    )
    if dispute.home_entry is not None:
        message.home_entry.CopyFrom(dispute.home_entry.message())
    if dispute.asking_entry is not None:
        message.asking_entry.CopyFrom(dispute.asking_entry.message())
    if row.closed is not None:
        message.close_time.seconds = row.closed
    if row.resolved_at is not None:
        message.resolve_time.seconds = row.resolved_at
    return message
