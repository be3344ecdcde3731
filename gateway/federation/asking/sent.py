"""What regions are asked, kept durably before it is sent: by request id, and how far.

Two things rest on it. A retry sends each region what it was asked first, whatever directories,
mappings and its own fields say by then: anything else under the same id is another question to
it. And what a region tells that it charged before is believed of what it was asked for before
(`gateway.federation.asking.calls`).
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, select, update

from gateway.federation.asking.tables import REGION_PLANS
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT

_P: Final = REGION_PLANS.c
_ADD: Final = {
    dialect: insert(REGION_PLANS)
    .on_conflict_do_nothing()
    .returning(_P.operator_id, _P.request_id, _P.region)
    for dialect, insert in INSERT.items()
}


class SentPlan(NamedTuple):
    """What one region is asked; fields as the columns of `tables.REGION_PLANS`, but for how far."""

    operator_id: str
    request_id: str
    region: str
    region_request_id: str
    subjects: bytes
    subjects_digest: bytes
    items: str
    mapping_version: int
    proof: int
    directory_time: int | None
    asked_at: int

    @property
    def indexes(self) -> tuple[int, ...]:
        """Which subjects of the question it is about, by their places."""
        bits = int.from_bytes(self.subjects, "little")
        return tuple(index for index in range(bits.bit_length()) if bits >> index & 1)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Item here and item there, in the order asked."""
        return tuple((here, there) for here, there in json.loads(self.items))

    def is_as(self, other: "SentPlan") -> bool:
        """Tell whether ``other`` asks the region for the same."""
        return other._replace(asked_at=self.asked_at, directory_time=self.directory_time) == self


class Asking(NamedTuple):
    """A chunk that is about to be asked for: the one that begins at the subject ``first``."""

    plan: SentPlan
    first: int


class AskedBefore(NamedTuple):
    """What is kept of a chunk that is about to be asked for.

    ``plan`` is what its region was asked first, ``before`` tells whether this chunk was asked for
    already, and ``believed`` whether the region's word on what it charged then is.
    """

    plan: SentPlan
    before: bool
    believed: bool


class SentPlans:
    """The plans kept in one records store. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, operator_id: str, request_id: str) -> Mapping[str, SentPlan]:
        """Return what each region was asked under a request id, by region."""
        query = select(REGION_PLANS).where(
            _P.operator_id == operator_id, _P.request_id == request_id
        )
        with reading(self._engine) as connection:
            return {row.region: _plan(row) for row in connection.execute(query)}

    def keep(self, asking: Sequence[Asking]) -> list[AskedBefore]:
        """Make durable that chunks are asked for, in one transaction; tell of each what was before.

        Raises what SQLAlchemy raises; nothing may be asked for then.
        """
        first = {_key(each.plan): each for each in reversed(asking)}
        # By their keys, so that no two processes wait for one another.
        rows = [{**first[key].plan._asdict(), "reached": first[key].first} for key in sorted(first)]
        with bounded(self._engine) as connection:
            new = {tuple(row) for row in connection.execute(_ADD[connection.dialect.name], rows)}
            told: dict[int, AskedBefore] = {}
            for place in sorted(range(len(asking)), key=lambda place: _key(asking[place].plan)):
                each = asking[place]
                if _key(each.plan) in new and each is first[_key(each.plan)]:
                    told[place] = AskedBefore(each.plan, before=False, believed=True)
                else:
                    told[place] = _again(connection, each)
        return [told[place] for place in range(len(asking))]

    def disbelieve(self, plan: SentPlan, now: int) -> None:
        """Keep that a region told of what nobody had asked for: from now on (seconds, UTC) it is
        not believed what it says that it charged before under this request id."""
        with bounded(self._engine) as connection:
            connection.execute(
                update(REGION_PLANS)
                .where(*_is(plan), _P.disbelieved_at.is_(None))
                .values(disbelieved_at=now)
            )


def subject_bits(indexes: Sequence[int]) -> bytes:
    """Return the places of subjects as `SentPlan` has them."""
    bits = bytearray(indexes[-1] // 8 + 1 if indexes else 0)
    for index in indexes:
        bits[index // 8] |= 1 << index % 8
    return bytes(bits)


def subjects_digest(subjects: Sequence[str]) -> bytes:
    """Return the digest of the subjects that a region is asked about."""
    return sha256("".join(f"{subject}\n" for subject in subjects).encode()).digest()


def _again(connection: Connection, asking: Asking) -> AskedBefore:
    query = select(REGION_PLANS).where(*_is(asking.plan)).with_for_update()
    row = connection.execute(query).one()
    before = asking.first <= row.reached
    if not before:
        reached = update(REGION_PLANS).where(*_is(asking.plan)).values(reached=asking.first)
        connection.execute(reached)
    return AskedBefore(_plan(row), before=before, believed=row.disbelieved_at is None)


def _plan(row: Row[Any]) -> SentPlan:
    plan = SentPlan(*(getattr(row, name) for name in SentPlan._fields))
    return plan._replace(subjects=bytes(plan.subjects), subjects_digest=bytes(plan.subjects_digest))


def _key(plan: SentPlan) -> tuple[str, str, str]:
    return plan.operator_id, plan.request_id, plan.region


def _is(plan: SentPlan) -> Any:
    return (
        _P.operator_id == plan.operator_id,
        _P.request_id == plan.request_id,
        _P.region == plan.region,
    )
