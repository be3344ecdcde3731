"""Whether the ledger charged a request before."""

from sqlalchemy import Engine, select

from gateway.meter.model import ANSWER
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading


def is_charged(engine: Engine, operator_id: str, request_id: str, chunk: int | None) -> bool:
    """Tell whether an operator's request was charged: this chunk of it, or with None any. Blocks."""
    query = select(USAGE.c.sequence).where(
        USAGE.c.operator_id == operator_id,
        USAGE.c.request_id == request_id,
        USAGE.c.kind == ANSWER,
    )
    if chunk is not None:
        query = query.where(USAGE.c.chunk == chunk)
    with reading(engine) as connection:
        return connection.execute(query.limit(1)).first() is not None
