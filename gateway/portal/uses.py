"""Uses: what a line of a statement comes from, one by one, down to the consent relied on."""

from typing import Final, NamedTuple

from starlette.responses import Response

from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.pages.money import yuan
from gateway.pages.terms import PURPOSES
from gateway.pages.troubles import NotShown
from gateway.pages.words import said
from gateway.portal.statement import month_shown
from gateway.portal.visit import Visit

_USES: Final = 50


class Used(NamedTuple):
    """A use in words; ``adjusted`` is the month whose statement adjusts it, ``disclosed_by`` where
    another region is reached that disclosed the record, "" for none."""

    record: str
    item: str
    source: str
    disclosed_by: str
    served: str
    purpose: str
    client: str
    request_id: str
    licence: str
    consent: str
    price: str
    reversed: bool
    late: bool
    adjusted: str
    name: str


async def show(visit: Visit) -> Response:
    """Show a page of the uses of a month, of one line of its statement where one is named."""
    month = month_shown(visit, str(visit.request.path_params["month"]))
    if not visit.parts.window.serves(pb.ListStatementUsesRequest):
        raise NotShown("missing")
    query = visit.request.query_params
    item, source, region = (query.get(name, "") for name in ("item", "source", "region"))
    listed = await visit.ask(
        pb.ListStatementUsesRequest(
            month=month.name,
            item=item,
            source=source,
            region=region,
            page_size=_USES,
            page_token=query.get("page", ""),
        ),
        pb.ListStatementUsesResponse,
    )
    return visit.page(
        "uses.html",
        tab="/statements",
        month=month.name,
        narrowed={"item": item, "source": source, "region": region},
        about=[visit.item(item) if item else "", source, region],
        uses=[_used(visit, use) for use in listed.uses],
        more=listed.next_page_token,
    )


def _used(visit: Visit, use: pb.StatementUse) -> Used:
    entry = use.entry
    return Used(
        entry.record.partition("/")[2],
        visit.item(entry.item),
        entry.source,
        entry.home_region.removeprefix("https://"),
        visit.when(entry.serve_time.seconds),
        said(visit.language, PURPOSES[Purpose.Name(entry.purpose).removeprefix("PURPOSE_")]),
        entry.client_id,
        entry.request_id,
        entry.licence,
        entry.consent,
        yuan(entry.fee_micro_yuan, visit.language),
        use.reversed,
        use.late,
        use.adjustment_month or use.reversal_month,
        entry.name,
    )
