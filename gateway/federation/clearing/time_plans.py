"""Plans by which another region charges for time: people are told of each when it is first told.

Working out an amount tells that it follows from the plan, and nothing of the plan. A flat fee or a
minimum grows with no use that anybody here made: so it is not left to a month's sum to be noticed.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import Engine, select

from creditgate.rating.components import FLAT, MINIMUM
from creditgate.rating.plans import plan_of
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.federation_service_pb2 import ClearingRating
from gateway.alerts.raising import raise_alert
from gateway.alerts.tables import ALERTS
from gateway.federation.clearing.amount_tables import TIME_PLANS
from gateway.storage.bounded import bounded
from gateway.storage.inserts import INSERT
from gateway.storage.writes import wrote

_HOUR_SECONDS: Final = 3_600
_KIND: Final = AlertKind.ALERT_KIND_CLEARING_PLAN


class TimePlan(NamedTuple):
    """A plan that charges for time; fields as those of `amount_tables.TIME_PLANS`."""

    plan: str
    plan_id: str
    amount: int
    effective_from: int


def time_plans(ratings: Iterable[ClearingRating]) -> set[TimePlan]:
    """Return the plans of ratings that are believed which have a flat fee or a minimum for what
    the asking region is there."""
    found: set[TimePlan] = set()
    for rating in ratings:
        basis = rating.basis
        classes = {each.operator_class for each in basis.operator_periods}
        decided = {each.sha256 for each in basis.plans}
        for told in rating.plans:
            # Any other is of no meaning to it, and was not looked at.
            if (digest := sha256(told)).digest() not in decided:
                continue
            plan = plan_of(told)
            amount = sum(
                each.amount
                for each in plan.components
                if each.kind in (FLAT, MINIMUM) and any(map(each.for_class, classes))
            )
            if amount:
                plan_id, start = plan.plan_id, plan.effective_from
                found.add(TimePlan(digest.hexdigest(), plan_id, amount, start))
    return found


class SqlTimePlans:
    """Which plans people were told of, on SQLite and PostgreSQL. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tell(
        self, region: str, operator_id: str, ratings: Iterable[ClearingRating], now: int
    ) -> None:
        """Raise an alert of each plan of ``region``, which is that operator here, that charges for
        time and was not told of before; ``now`` in seconds, UTC."""
        plans = time_plans(ratings)
        if not plans:
            return
        with bounded(self._engine) as connection:
            insert = INSERT[connection.dialect.name](TIME_PLANS)
            for plan in sorted(plans):
                row = {"region": region, **plan._asdict(), "seen_at": now}
                adding = insert.values(row).on_conflict_do_nothing().returning(TIME_PLANS.c.plan)
                if connection.execute(adding).first() is None:
                    continue
                wrote(connection, TIME_PLANS, [(region, plan.plan)])
                about = select(ALERTS.c.hour).where(
                    ALERTS.c.operator_id == operator_id, ALERTS.c.kind == int(_KIND)
                )
                taken = set(connection.execute(about).scalars())
                hour = now // _HOUR_SECONDS
                while hour in taken:
                    # An alert of each: what one was told of says nothing of the next.
                    hour -= 1
                raise_alert(
                    connection,
                    operator_id,
                    _KIND,
                    hour=hour,
                    purpose=0,
                    started_at=plan.effective_from,
                    counted=plan.amount,
                    threshold=0,
                    now=now,
                )
