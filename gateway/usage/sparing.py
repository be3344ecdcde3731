"""Puts off when operators are refused for use that they have not agreed with, by the time in which
the gateway was away."""

from sqlalchemy import Connection, case, update

from gateway.conformance.outage import Outage
from gateway.storage.writes import wrote
from gateway.usage.policy import AgreementPolicy
from gateway.usage.tables import AGREEMENT_DUTIES

_D = AGREEMENT_DUTIES.c


class SparedDuties:
    """Spares those that were reminded and not refused when an outage began. Who was not reminded
    yet is, as soon as the gateway is back, and has the policy's time from then (`duty_after`)."""

    def __init__(self, policy: AgreementPolicy) -> None:
        self._policy = policy

    def put_off(self, connection: Connection, outage: Outage) -> None:
        """Leave as much time as was left when the outage began, in the connection's transaction,
        of the store of evidence."""
        if self._policy.refuse is None:
            return
        usual = _D.since + self._policy.remind_seconds + self._policy.refuse_seconds
        refused_from = case((_D.spared_until > usual, _D.spared_until), else_=usual)
        spared = (
            update(AGREEMENT_DUTIES)
            .where(_D.reminded, _D.due == 0, refused_from >= outage.began)
            .values(spared_until=outage.put_off_in(refused_from))
        )
        found = connection.execute(spared.returning(_D.operator_id)).all()
        wrote(connection, AGREEMENT_DUTIES, found)
