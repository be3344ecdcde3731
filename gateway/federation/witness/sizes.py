"""How large this region's witness has seen each disclosure log."""

from collections.abc import Mapping

from sqlalchemy import Engine, select

from gateway.federation.witness.tables import WITNESSED_LOGS
from gateway.storage.engines import reading


def witnessed_sizes(evidence: Engine) -> Mapping[str, int]:
    """Return the size of each log as it was cosigned last, by its C2SP key. Blocks."""
    query = select(WITNESSED_LOGS.c.log_key, WITNESSED_LOGS.c.size).where(WITNESSED_LOGS.c.act > 0)
    with reading(evidence) as connection:
        return {row.log_key: row.size for row in connection.execute(query)}
