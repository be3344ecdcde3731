"""What operators asked other regions with: the ledger has the ids that the regions were asked with."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from gateway.federation.asking.tables import REGION_USES
from gateway.storage.paging import pages


def asked_with(
    connection: Connection, operator_id: str, region_request_ids: Collection[str]
) -> Mapping[str, str]:
    """Return the ids of an operator's own requests, by those that regions were asked with for them."""
    its = REGION_USES.c
    query = select(its.region_request_id, its.request_id).where(its.operator_id == operator_id)
    return {
        row.region_request_id: row.request_id
        for some in pages(region_request_ids)
        for row in connection.execute(query.where(its.region_request_id.in_(some)).distinct())
    }
