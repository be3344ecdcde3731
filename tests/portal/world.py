"""A gateway whose portal is visited."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from gateway.alerts.raising import raise_alert
from gateway.alerts.store import SqlAlerts
from gateway.disclose.store import DisclosureStore
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.asking.uses import RegionAnswer, RegionUse
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, LineCount
from operators.model import OPERATOR
from tests.console.world import World
from tests.installation import OPERATOR_CLIENT, OPERATOR_ID, PRICE, Installation
from tests.meter.world import claim
from tests.people import COMPANY, SETTINGS, browser
from tests.receipts import RECEIPTS
from tests.subject.world import caught_up

REPRESENTATIVE: Final = "li-ming"
"""Represents `COMPANY`, which is the operator alpha."""
OTHER: Final = "zhao-qian"
"""Represents another company, which is the operator beta."""
OTHER_COMPANY: Final = "91000000DEM000012D"
NOBODY: Final = "liu-yang"
"""Represents no company."""


@dataclass
class PortalWorld(World):
    """A running gateway with two operators, and one browser."""

    def url(self, path: str = "") -> str:
        """Return the address of a page of the portal."""
        return f"{self.gateway.running.issuer}/portal{path}"

    async def become(self, operator_id: str, **changes: object) -> None:
        """Change what an operator is, and wait until the gateway knows."""
        operator = self.authority.operators[operator_id]
        changed = operator.model_copy(update={**changes, "version": 0, "changed_at": 0})
        self.installation.keep(OPERATOR, operator_id, changed)
        await caught_up()

    def used_before(self, days: int) -> None:
        """Enter into the ledger what was used on the days before, more on some than on others.

        The records are those of `use`, which comes first.
        """
        now = self.installation.clock.now()
        for day in range(1, days + 1):
            self.used_at(now - day * 86_400, [1, 2, 3][: 1 + day * day % 3])

    def used_at(self, at: int, entries: Sequence[int]) -> None:
        """Enter into the ledger that records were used at an instant (seconds, UTC).

        They are of those of `use`, which comes first.
        """
        records, now = self.installation.engines.records, self.installation.clock.now()
        disclosed = DisclosureStore(records)
        (line_no,) = disclosed.lines()
        made = claim(
            f"at-{at}",
            entries,
            lines=(LineCount(line_no, len(entries), PRICE),),
            served_at=at,
            good_until=now + 60,
            disclosure_sequence=disclosed.head(),
        )
        (outcome,) = UsageLedger(records, self.installation.clock, RECEIPTS).commit([made])
        assert isinstance(outcome, Charged), outcome

    def used_elsewhere(self, region: str, consent: str) -> None:
        """Enter into the ledger a record of another region that a question was given under a consent.

        Its source and item are those of `use`, which comes first.
        """
        records, now = self.installation.engines.records, self.installation.clock.now()
        disclosed = DisclosureStore(records)
        ((line_no, line),) = disclosed.lines().items()
        answer = RegionAnswer(
            operator_id=OPERATOR_ID,
            request_id="asked",
            region=region,
            first_subject=0,
            region_request_id="charged",
            client_id=OPERATOR_CLIENT,
            licence="L-1",
            purpose=1,
            consent=consent,
            decision_id="d-1",
            region_decision="d-2",
            mapping_version=1,
            subject_count=1,
            records=1,
            served_at=now,
            recorded_at=now,
            region_fee=PRICE,
            own_fee=PRICE,
            receipt=b"",
            checkpoint="",
        )
        use = RegionUse(
            "away-1", 1, COMPANY, line.item, line.item, line.source, line.region, PRICE, PRICE
        )
        assert RegionUses(records).keep(answer, [use])
        (outcome,) = UsageLedger(records, self.installation.clock, RECEIPTS).commit(
            [
                claim(
                    "charged",
                    lines=(LineCount(line_no, 1, PRICE),),
                    served_at=now,
                    good_until=now + 60,
                    disclosure_sequence=disclosed.head(),
                )
            ]
        )
        assert isinstance(outcome, Charged), outcome

    def alert(self, operator_id: str = OPERATOR_ID, *, looked_into: bool = False) -> None:
        """Raise an alert on an operator, which somebody has looked into or nobody has."""
        now, evidence = self.installation.clock.now(), self.installation.engines.evidence
        kinds = (AlertKind.ALERT_KIND_UNACKNOWLEDGED, AlertKind.ALERT_KIND_PURPOSE_DRIFT)
        with evidence.begin() as connection:
            raise_alert(
                connection,
                operator_id,
                kinds[looked_into],
                hour=now // 3_600,
                purpose=int(looked_into),
                started_at=now - now % 3_600,
                counted=6_100,
                threshold=5_000,
                now=now,
            )
        if looked_into:
            alerts = SqlAlerts(evidence)
            newest = alerts.listed(operator_id, acknowledged=False, before=None, limit=1)[0]
            alerts.acknowledge(newest.number, "the-office", "told us before", now)

    async def hold(self, record_id: str) -> None:
        """Have the operator attest a copy of a record it was never served."""
        opening = pb.AttestationOpening(request_id=str(uuid4()), copies=1, format_version=1)
        copy = pb.CopyDigest(
            record=f"records/{record_id}",
            content_digest=sha256(record_id.encode()).digest(),
            disclosed_from=Timestamp(seconds=1),
        )

        async def parts() -> AsyncIterator[pb.AttestCopiesRequest]:
            yield pb.AttestCopiesRequest(opening=opening)
            yield pb.AttestCopiesRequest(copies=pb.CopyDigests(copies=[copy]))

        async with self.gateway.channel() as channel:
            await ConformanceServiceStub(channel).AttestCopies(parts())

    async def restore(self) -> None:
        """Make the operators what they were."""
        await self.become(OPERATOR_ID, uscc=COMPANY, state=1)
        await self.become("beta", uscc=OTHER_COMPANY, state=1)


@asynccontextmanager
async def running_portal(installation: Installation) -> AsyncGenerator[PortalWorld]:
    """Run a gateway with two operators that people represent, and one browser."""
    installation.license("beta", "L-BETA", quota=10)
    async with installation.running(**SETTINGS) as gateway, browser(installation) as visitor:
        world = PortalWorld(gateway, visitor, "")
        await world.restore()
        yield world
