"""Logs that were gone over from: which they are, and whether they ended as they were cosigned."""

from base64 import b64encode
from typing import Final

from sqlalchemy import Connection, or_, select

from creditgate.transparency.note import VerifierKey
from gateway.federation.witness.logs import RegionLog
from gateway.federation.witness.rules import ShownInvalid
from gateway.federation.witness.tables import WITNESSED_ENDS, WITNESSED_LOGS
from gateway.storage.inserts import INSERT

_WHOEVER: Final = ""


def require_not_ended(connection: Connection, region: str, log: VerifierKey) -> None:
    """Check that a region's log was not gone over from. Raises ShownInvalid."""
    ends = WITNESSED_ENDS.c
    query = select(ends.log_key).where(
        ends.log_key == str(log), or_(ends.region == _WHOEVER, ends.region == region)
    )
    if connection.execute(query).first() is not None:
        raise ShownInvalid("the region has gone over from this log to another, and stays there")


def end_those_before(connection: Connection, of: RegionLog) -> None:
    """Keep that a region has this log now, and no other. Raises ShownInvalid where one of those
    before was cosigned otherwise than the region has signed that it ended."""
    region, logs = of.region.entity_id, WITNESSED_LOGS.c
    for told in of.ended:
        query = select(logs.size, logs.root).where(
            logs.origin == told.former.name, logs.log_key == str(told.former), logs.act > 0
        )
        was = connection.execute(query).first()
        if was is not None and (
            was.size > told.size
            or (was.size == told.size and b64encode(was.root).decode("ascii") != told.root)
        ):
            raise ShownInvalid("a log of the region ended otherwise than it was cosigned")
    others = select(logs.log_key).where(logs.region == region, logs.log_key != str(of.key))
    ends = {(str(told.former), _WHOEVER) for told in of.ended}
    ends |= {(key, region) for key in connection.execute(others).scalars()}
    if ends:
        connection.execute(
            INSERT[connection.dialect.name](WITNESSED_ENDS).on_conflict_do_nothing(),
            [{"log_key": key, "region": whose} for key, whose in ends],
        )
