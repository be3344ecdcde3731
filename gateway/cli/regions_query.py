"""``creditgate query --regions``: one question to all regions that may hold the subject."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from creditgate.refusal import reason_name
from creditgate.v1.federated_record_service_pb2 import (
    NotAskedReason,
    QueryRegionsRequest,
    RegionClosing,
    RegionOutcome,
)
from gateway.cli import calls
from gateway.cli.failures import CommandFailed
from gateway.cli.output import Sheet, as_dict, console, print_json, show_sheet, yuan
from gateway.cli.record import records_sheet
from gateway.cli.usage_book import opened_book, verified

if TYPE_CHECKING:
    from sdk.federated import FederatedAnswer
    from sdk.usage_book import UsageBook


def query_regions(
    profile: Path, request: QueryRegionsRequest, book: Path | None, *, as_json: bool
) -> None:
    """Ask, keep the receipts in ``book`` if one is given, and print what came of every region.

    Raises CommandFailed, grpc.RpcError.
    """
    if book is None:
        answer = calls.with_gateway(profile, lambda gateway: _asked(gateway, request, None))
    else:
        with opened_book(book) as opened, verified():
            answer = calls.with_gateway(profile, lambda gateway: _asked(gateway, request, opened))
    if as_json:
        print_json(
            {
                "request_id": request.request_id,
                "decision": answer.decision,
                "regions": [
                    {
                        "plan": as_dict(each.plan),
                        "records": [
                            {"item": item, "record": as_dict(record)}
                            for item, record in each.records
                        ],
                        "closing": as_dict(each.closing or RegionClosing()),
                    }
                    for each in answer.regions.values()
                ],
            }
        )
        return
    terminal = console()
    for region, each in answer.regions.items():
        if each.records:
            sheet = records_sheet(record for _, record in each.records)
            show_sheet(Sheet(f"Records of {region}", *_rest(sheet)), terminal)
    show_sheet(_closings([each.closing for each in answer.regions.values()]), terminal)


async def _asked(
    gateway: calls.Gateway, request: QueryRegionsRequest, book: "UsageBook | None"
) -> "FederatedAnswer":
    from sdk.federated import AnswerBroken, ask_regions
    from sdk.region_receipts import RegionReceipts

    receipts = None if book is None else RegionReceipts(book, request.request_id)
    try:
        return await ask_regions(gateway.channel, request, receipts)
    except AnswerBroken as error:
        raise CommandFailed(f"{error} with --request-id {request.request_id}.") from None


def _rest(
    sheet: Sheet,
) -> tuple[Sequence[str], Sequence[Sequence[str]], frozenset[str], bool]:
    return sheet.columns, sheet.rows, sheet.numbers, sheet.blocks


def _closings(closings: Sequence[RegionClosing | None]) -> Sheet:
    return Sheet(
        "Regions",
        ("region", "ended", "all", "why", "subjects", "records", "withheld", "yuan", "ms"),
        [
            (
                each.region,
                RegionOutcome.Name(each.outcome).removeprefix("REGION_OUTCOME_"),
                "yes" if each.complete else "",
                _why(each),
                str(each.subjects_answered),
                str(each.records),
                str(each.withheld_records),
                yuan(each.charged_micro_yuan),
                str(each.elapsed.ToMilliseconds()),
            )
            for each in closings
            if each is not None
        ],
        frozenset({"subjects", "records", "withheld", "yuan", "ms"}),
    )


def _why(closing: RegionClosing) -> str:
    if closing.not_asked:
        return NotAskedReason.Name(closing.not_asked).removeprefix("NOT_ASKED_REASON_")
    return reason_name(closing.refusal) if closing.refusal else ""
