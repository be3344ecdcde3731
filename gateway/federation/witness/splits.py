"""Split views: the evidence that a log has signed two histories, kept, alarmed, and cleared.

While one of a log is not cleared nothing that the log proves is believed here.
"""

import json
import logging
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import Engine, Row, func, insert, select, update

from creditgate.transparency.note import VerifierKey, open_checkpoint
from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.raising import raise_alert
from gateway.federation.trust.book import Region
from gateway.federation.witness.tables import SPLIT_VIEWS
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.writes import wrote
from sdk.histories import SplitView

MOST_OPEN: Final = 64
"""Split views of one log that are kept while none is cleared: more tell nothing new."""

MOST_TOLD_OF_ONE: Final = 2
"""Logs of one region whose split views are told to peers: the one it has now, and the former."""

_HOUR_SECONDS: Final = 3_600
_log = logging.getLogger(__name__)

FoundSplit = Row[*tuple[Any, ...]]
"""A row of `gateway.federation.witness.tables.SPLIT_VIEWS`."""


class Accused(NamedTuple):
    """The region whose log it is, and the operator the alarm names it by."""

    entity_id: str
    operator_id: str

    @classmethod
    def of(cls, region: Region) -> Self:
        """Return a region by the operator it was admitted as, else by its client id."""
        return cls(region.entity_id, region.operator_id or region.client_id)


class SplitViews:
    """The split views of one store of evidence. Calls block; any thread."""

    def __init__(self, evidence: Engine) -> None:
        self._evidence = evidence

    def keep(
        self, accused: Accused, key: VerifierKey, split: SplitView, told_by: str, now: int
    ) -> bool:
        """Keep evidence against a region's log, and raise the alarm; tell whether it is new.

        Raises ProofInvalid for what is no evidence, and what the store raises.
        """
        split.require(key)
        digest = _digest(split, key)
        with bounded(self._evidence) as connection:
            known = select(SPLIT_VIEWS.c.number).where(SPLIT_VIEWS.c.digest == digest)
            if connection.execute(known).first() is not None:
                return False
            open_ones = connection.execute(
                select(func.count())
                .select_from(SPLIT_VIEWS)
                .where(SPLIT_VIEWS.c.log_key == str(key), SPLIT_VIEWS.c.cleared_at.is_(None))
            ).scalar_one()
            if open_ones >= MOST_OPEN:
                return False
            kept = connection.execute(
                insert(SPLIT_VIEWS).values(
                    digest=digest,
                    origin=key.name,
                    region=accused.entity_id,
                    log_key=str(key),
                    evidence=json.dumps(split.as_json()),
                    told_by=told_by,
                    found_at=now,
                    cleared_by="",
                    note="",
                )
            )
            number = kept.inserted_primary_key
            assert number is not None, "one row was inserted"
            wrote(connection, SPLIT_VIEWS, [number])
            hour = now // _HOUR_SECONDS
            raise_alert(
                connection,
                accused.operator_id,
                AlertKind.ALERT_KIND_SPLIT_VIEW,
                hour=hour,
                purpose=0,
                started_at=hour * _HOUR_SECONDS,
                counted=open_ones + 1,
                threshold=1,
                now=now,
            )
        _log.critical(
            "the log %s of the region %s has signed two histories: what it proves is not believed"
            " until split view %s is cleared (creditgate witness splits)",
            key.name,
            accused.entity_id,
            split_id(number[0]),
        )
        return True

    def distrusted(self) -> frozenset[str]:
        """Return the keys (C2SP) of the logs that are distrusted: of a log that names another's
        origin, its own alone."""
        query = select(SPLIT_VIEWS.c.log_key).where(SPLIT_VIEWS.c.cleared_at.is_(None)).distinct()
        with reading(self._evidence) as connection:
            return frozenset(connection.execute(query).scalars())

    def open_ones(self, limit: int) -> list[FoundSplit]:
        """Return the newest that are not cleared, of each log one at most, and of each region
        `MOST_TOLD_OF_ONE`: what one brings upon itself crowds no other out."""
        newest = (
            select(
                func.max(SPLIT_VIEWS.c.number).label("number"),
                func.row_number()
                .over(
                    partition_by=SPLIT_VIEWS.c.region,
                    order_by=func.max(SPLIT_VIEWS.c.number).desc(),
                )
                .label("place"),
            )
            .where(SPLIT_VIEWS.c.cleared_at.is_(None))
            .group_by(SPLIT_VIEWS.c.region, SPLIT_VIEWS.c.log_key)
            .subquery()
        )
        told = select(newest.c.number).where(newest.c.place <= MOST_TOLD_OF_ONE)
        query = (
            select(SPLIT_VIEWS)
            .where(SPLIT_VIEWS.c.number.in_(told))
            .order_by(SPLIT_VIEWS.c.number.desc())
            .limit(limit)
        )
        with reading(self._evidence) as connection:
            return list(connection.execute(query))

    def listed(self, *, cleared: bool, before: int | None, limit: int) -> Sequence[FoundSplit]:
        """Return split views with numbers below ``before``, newest first; those that were
        ``cleared`` too, or without."""
        query = select(SPLIT_VIEWS).order_by(SPLIT_VIEWS.c.number.desc()).limit(limit)
        if not cleared:
            query = query.where(SPLIT_VIEWS.c.cleared_at.is_(None))
        if before is not None:
            query = query.where(SPLIT_VIEWS.c.number < before)
        with reading(self._evidence) as connection:
            return connection.execute(query).all()

    def clear(self, number: int, by: str, note: str, now: int) -> FoundSplit | None:
        """Return a split view once it is cleared, as it was where it had been; None where there
        is none."""
        own = SPLIT_VIEWS.c.number == number
        with bounded(self._evidence) as connection:
            cleared = connection.execute(
                update(SPLIT_VIEWS)
                .where(own, SPLIT_VIEWS.c.cleared_at.is_(None))
                .values(cleared_at=now, cleared_by=by, note=note)
            )
            if cleared.rowcount:
                wrote(connection, SPLIT_VIEWS, [(number,)])
            return connection.execute(select(SPLIT_VIEWS).where(own)).first()


def split_id(number: int) -> str:
    """Return the id of a split view by its number."""
    return f"split-{number}"


def evidence_of(row: FoundSplit) -> SplitView:
    """Return the evidence in a row."""
    return SplitView.of_json(json.loads(row.evidence))


def same_size_split(held: str, shown: str, key: VerifierKey) -> SplitView | None:
    """Return the evidence in two notes of a log, None where they do not contradict each other by
    themselves. Raises ProofInvalid."""
    first, second = open_checkpoint(held, key), open_checkpoint(shown, key)
    if first.size != second.size or first.root == second.root or not first.size:
        return None
    return SplitView(held, shown, second.root, ())


def _digest(split: SplitView, key: VerifierKey) -> str:
    """Return what tells this contradiction from others: the size, and the two roots of it."""
    first = open_checkpoint(split.first, key)
    roots = sorted((first.root, split.root))
    told = "\n".join((str(key), str(first.size), *(root.hex() for root in roots)))
    return sha256(told.encode()).hexdigest()
