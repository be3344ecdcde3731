"""What another region gave under a consent, as the ledger and the stores of one gateway have it."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import Engine

from consent.changing import Act
from consent.model import ONCE, Actor, Consent
from consent.part_names import part_id
from consent.parts import SqlConsentParts
from consent.regions import SqlConsentRegions
from consent.sql import SqlConsents
from gateway.consents.accesses import Accesses
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.asking.uses import RegionUse
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, LineCount, UsageClaim
from tests import consenting
from tests.clock import NOW, StandingClock
from tests.federation.asking.test_uses import NORTH, Made, answer, uses
from tests.meter.world import claim, with_lines
from tests.receipts import RECEIPTS

HOUR = 3_600
DAY = 86_400
SUBJECT = uses(1)[0].subject
ITEM = uses(1)[0].own_item


@dataclass
class Elsewhere:
    """An operator alpha that asks other regions under consents."""

    engine: Engine
    numbers: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.consents = SqlConsents(self.engine)
        self.kept = RegionUses(self.engine)
        self.regions = SqlConsentRegions(self.engine)
        self.parts = SqlConsentParts(self.engine)
        self.accesses = Accesses(
            self.engine, self.consents, lambda: ("alpha",), StandingClock(NOW + 10**6)
        )

    def consent(self, **changed: Any) -> Consent:
        """Return a consent to ITEM that SUBJECT gave."""
        return consenting.given(self.consents, SUBJECT, consenting.terms([ITEM], **changed))

    def once(self, **changed: Any) -> Consent:
        """Return one for a single use."""
        return self.consent(access_mode=ONCE, **changed)

    def ask(self, consent: Consent, at: int = NOW, **changed: Any) -> str:
        """Have a question to other regions metered, as it is unless ``changed``; return its
        request's id."""
        request_id = f"r-{next(self.numbers)}"
        made = claim(request_id, served_at=at, relies_on=consent, asked_items=(ITEM,))
        self._charge(made._replace(opened_entries=0, **changed), at)
        return request_id

    def give(
        self,
        consent: Consent,
        request_id: str,
        at: int = NOW,
        region: str = NORTH,
        records: int = 1,
        **changed: Any,
    ) -> bool:
        """Pass on what a region answers, as `gateway.federation.asking.ordering` does; tell whether
        it was new."""
        its = [each._replace(**{"opened": True} | changed) for each in uses(records)]
        new = self.keep(consent, its, request_id, at, region)
        key = f"q-{request_id}"
        made = claim(key, served_at=at, owed=True)
        self._charge(made._replace(lines=(LineCount(1, records, 25),)), at)
        return new

    def keep(
        self,
        consent: Consent,
        its: list[RegionUse],
        request_id: str,
        at: int = NOW,
        region: str = NORTH,
        relied: bool = True,
    ) -> bool:
        """Keep what a region answers, as passed on where it relies on the consent."""
        made = answer(Made(request_id=request_id, region=region, served_at=at), len(its))
        made = made._replace(
            consent=consent.name,
            records=sum(each.passed_on for each in its),
            opened=sum(bool(each.opened) for each in its),
        )
        return self.kept.keep(made, its, consent if relied else None)

    def read(self, consent: Consent) -> Consent:
        """Return a consent as it is written now."""
        found = self.consents.get(consent.consent_id)
        assert found is not None
        return found

    def revoke(self, consent: Consent, at: int) -> Consent:
        """Take a consent back, as its subject."""
        return self.consents.move(consent.consent_id, "revoke", Act(Actor.SUBJECT, "", "", at))

    def taken_back(self, consent: Consent, at: int, region: str = NORTH) -> Consent | None:
        """Have a region tell that its subject has taken a consent back there; return the part that
        is written of it, None where nothing is."""
        if not self.parts.taken_back(consent.consent_id, region, frozenset(), at):
            return None
        return self.consents.get(part_id(consent.consent_id, region))

    def said_gone(self, consent: Consent, removed_at: int, now: int) -> bool:
        """Have alpha say that its copies are gone."""
        duties = self.consents.acknowledge(
            consent.consent_id, "alpha", removed_at, "alpha-client", now
        )
        return duties > 0

    def _charge(self, made: UsageClaim, at: int) -> None:
        ledger = UsageLedger(with_lines(self.engine), StandingClock(at), RECEIPTS)
        (outcome,) = ledger.commit([made._replace(good_until=at + 60)])
        ledger.close()
        assert isinstance(outcome, Charged), outcome
