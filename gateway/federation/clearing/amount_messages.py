"""Amounts beyond list prices, and ceilings, as the contract has them."""

from collections.abc import Sequence

from creditgate.v1 import clearing_service_pb2 as pb
from gateway.federation.clearing.amount_store import NO_CEILING, Ceiling, Told
from gateway.federation.clearing.store import ClearingRow
from sdk.clearings import lines_of


def amount_messages(row: ClearingRow, told: Sequence[Told]) -> list[pb.ClearingAmount]:
    """Return what a clearing has beyond list prices, and what of ``told`` was not signed."""
    signed = {
        (line.home, line.month): pb.ClearingAmount(
            home_region=line.home,
            month=line.month,
            entries=line.entries,
            listed_micro_yuan=line.listed,
            rated_micro_yuan=line.rated,
            amount_micro_yuan=line.amount,
        )
        for line in lines_of(row.document)
    }
    refused = {
        (rating.home_region, rating.month): pb.ClearingAmount(
            home_region=rating.home_region,
            month=rating.month,
            entries=rating.entries,
            listed_micro_yuan=rating.listed_micro_yuan,
            rated_micro_yuan=rating.rated_micro_yuan,
            refused=why,
        )
        for rating, why in told
        if why
    }
    together = refused | signed
    return [together[key] for key in sorted(together)]


def ceiling_message(ceiling: Ceiling) -> pb.ClearingCeiling | None:
    """Return a ceiling as the contract has it, None where none was ever set."""
    if ceiling == NO_CEILING:
        return None
    message = pb.ClearingCeiling(
        record_micro_yuan=ceiling.record,
        month_micro_yuan=ceiling.month,
        set_by=ceiling.set_by,
        reason=ceiling.reason,
    )
    message.set_time.seconds = ceiling.set_at
    return message
