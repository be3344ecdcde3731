"""Limits for tests, as the authority log has them."""

from typing import Any

from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from operators.limits import LIMIT, Limit
from operators.log import Change, Draft


def limit(limit_id: str = "slow", **fields: Any) -> Limit:
    """Return a limit of 2 lookups an hour of each operator, 2 at once, unless told otherwise."""
    usual: dict[str, Any] = {
        "per": LimitPer.LIMIT_PER_OPERATOR,
        "unit": LimitUnit.LIMIT_UNIT_LOOKUPS,
        "count": 2,
        "period_seconds": 3_600,
        "burst": 2,
        "created_at": 1,
    }
    return Limit(limit_id=limit_id, **usual | fields)


def drafted(of: Limit, version: int = 0) -> Draft:
    """Return a limit as the version that follows ``version``."""
    return Draft(LIMIT, of.limit_id, version, of.as_document())


def written(sequence: int, of: Limit, version: int = 1) -> Change:
    """Return a limit as the log would have it."""
    return Change(sequence, LIMIT, of.limit_id, version, of.as_document(), "office", 1, "test")
