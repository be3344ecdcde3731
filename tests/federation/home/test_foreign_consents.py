"""How a consent stands is said by the region that keeps it, and by no other (G3, G10)."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from consent.changing import Act
from consent.model import Actor, Consent
from consent.sql import SqlConsents
from consent.states import GRANTED, REVOKED
from creditgate.federated_query import consent_elsewhere, region_client_id
from creditgate.refusal import Refused, reason_name
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.federation_service_pb2 import ConsentStanding, FollowConsentsResponse
from gateway.federation.home.consents import ForeignConsents
from gateway.federation.home.following import ConsentFollower, Requests, Responses
from gateway.federation.trust.book import Region
from gateway.storage.engines import Engines
from tests.clock import NOW, StandingClock
from tests.consents.receipts import ISSUER, Signing, granted

EVIL: Final = "https://evil.test"
CONSENT: Final = granted()
OTHER: Final = granted(consent_id="0069cc59c1-" + "b2" * 12)
MAPPING: Final = {"evaluation.public-credit": "grade", "payment.tax": "tax"}
NAME: Final = consent_elsewhere(ISSUER, CONSENT.name).removeprefix("consents/")


@dataclass
class Regions:
    """What each region answers to the question how consents stand, by entity identifier."""

    says: dict[str, ConsentState.ValueType] = field(
        default_factory=lambda: {ISSUER: GRANTED, EVIL: GRANTED}
    )

    @asynccontextmanager
    async def follow_consents(self, region: str, requests: Requests) -> AsyncGenerator[Responses]:
        """Open the stream."""

        async def answers() -> Responses:
            async for ask in requests:
                yield FollowConsentsResponse(
                    standings=[
                        ConsentStanding(consent=name, state=self.says[region], version=9)
                        for name in ask.consents
                    ],
                    answers=ask.ask,
                )

        yield answers()


class Home:
    """A home region, one that granted a consent, and one that says it is that one."""

    def __init__(self, engines: Engines, folder: Path) -> None:
        self.consents = SqlConsents(engines.records)
        self.public: set[str] = set()
        self.foreign = ForeignConsents(
            self.consents,
            lambda _: MAPPING,
            lambda _: frozenset({"grade", "tax_year"}),
            lambda: frozenset({"11"}),
            StandingClock(),
            self.public.__contains__,
        )
        self.regions = Regions()
        self.follower = ConsentFollower(self.regions, self.foreign.told, time.monotonic, 15.0)
        self.true, self.false = Signing(folder / "true"), Signing(folder / "false")
        for each in (self.true, self.false):
            each.add("ES256")

    def region(self, entity_id: str, signing: Signing, issuer: str) -> Region:
        return Region(
            entity_id=entity_id,
            operator_id=f"operator-of-{entity_id[8:12]}",
            client_id=region_client_id(entity_id),
            grpc=("127.0.0.1:1",),
            issuer=issuer,
            roots=b"",
            certificate_thumbprints=frozenset(),
            codes=("11",),
            log_keys={},
            jwks="",
            document_keys=json.dumps(signing.published),
            catalogue="",
            catalogue_version="",
            stands_until=NOW + 60,
        )

    async def shown(self, entity_id: str = ISSUER, consent: Consent = CONSENT) -> str:
        """Show the receipt, as the region signs it; return "" or why it is refused."""
        signing = self.true if entity_id == ISSUER else self.false
        receipt = signing.receipts.signed(consent)
        region = self.region(entity_id, signing, ISSUER)
        try:
            await self.foreign.relied_on(
                self.follower, receipt, region, consent.operator_id, ["grade", "tax"]
            )
        except Refused as refused:
            return reason_name(refused.reason)
        return ""

    def state(self) -> ConsentState.ValueType | None:
        """Return how the consent is kept here, after all that is under way."""
        self.foreign.close()
        kept = self.consents.get(NAME)
        return None if kept is None else kept.state


@pytest.fixture
async def home(engines: Engines, tmp_path: Path) -> AsyncIterator[Home]:
    made = Home(engines, tmp_path)
    yield made
    await made.follower.stop()


async def test_a_region_that_names_anothers_issuer_shows_and_ends_none_of_its_consents(
    home: Home,
) -> None:
    assert await home.shown() == ""
    assert await home.shown(EVIL) == "CONSENT_UNKNOWN"
    home.foreign.told(EVIL, ConsentStanding(consent=CONSENT.name, state=REVOKED, version=9))
    assert await home.shown() == ""
    assert home.state() == GRANTED


async def test_the_region_that_keeps_a_consent_ends_it(home: Home) -> None:
    assert await home.shown() == ""
    home.foreign.told(ISSUER, ConsentStanding(consent=CONSENT.name, state=REVOKED, version=9))
    assert home.state() == REVOKED


async def test_an_end_of_what_nobody_asked_under_is_nothing_to_write(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.foreign.told(ISSUER, ConsentStanding(consent=CONSENT.name, state=REVOKED, version=9))
    home.foreign.told(ISSUER, ConsentStanding(consent="none", state=REVOKED, version=9))
    assert home.state() is None
    assert caplog.text.count("writing an end") <= 1


async def test_a_region_cannot_fill_the_list_of_a_subject(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.federation.home.consents.MOST_A_DAY", 2)
    shown = [granted(consent_id=f"0069cc59c0-{number:024x}") for number in range(3)]
    assert [await home.shown(consent=each) for each in shown] == ["", "", "RATE_EXCEEDED"]
    # What was shown before is relied on all the same.
    assert await home.shown(consent=shown[0]) == ""


async def test_what_is_public_here_is_not_given_whole_under_a_consent_to_a_part_of_it(
    home: Home,
) -> None:
    # It opens the fields grade and score, of which this region has grade and tax_year.
    home.public.add("grade")
    assert await home.shown() == "CONSENT_EXCEEDED"
    assert home.state() is None


async def test_what_takes_a_consent_here_too_is_cut_and_given(home: Home) -> None:
    home.public.add("another")
    assert await home.shown() == ""


async def test_no_consent_of_a_time_to_come_stands_before_all_others(home: Home) -> None:
    to_come = f"{NOW + 3_600:010x}-" + "c3" * 12
    assert await home.shown(consent=granted(consent_id=to_come)) == "CONSENT_UNKNOWN"
    for moment in ("requested_at", "granted_at"):
        later = granted(consent_id=OTHER.consent_id, **{moment: NOW + 3_600})
        assert await home.shown(consent=later) == "CONSENT_UNKNOWN"
    assert await home.shown(consent=OTHER) == ""


async def test_what_another_region_wrote_under_the_name_of_a_consent_is_not_that_consent(
    home: Home,
) -> None:
    assert await home.shown() == ""
    kept = home.consents.get(NAME)
    assert kept is not None
    evil = {"client_id": region_client_id(EVIL), "operator_id": "operator-of-evil"}
    for number, there in enumerate((ISSUER, EVIL)):
        name = consent_elsewhere(there, OTHER.name).removeprefix("consents/")
        written = evil if there == ISSUER else {}
        home.consents.add(
            kept.model_copy(
                update={"consent_id": name, "request_id": f"region:{number}", **written}
            ),
            Act(Actor.GATEWAY, "t", "t", NOW),
        )
    # Relied on under that name it would be judged by what another region showed.
    assert await home.shown(consent=OTHER) == "CONSENT_UNKNOWN"
    for there in (ISSUER, EVIL):
        home.foreign.told(there, ConsentStanding(consent=OTHER.name, state=REVOKED, version=9))
    home.foreign.close()
    for there in (ISSUER, EVIL):
        still = home.consents.get(consent_elsewhere(there, OTHER.name).removeprefix("consents/"))
        assert still is not None
        assert still.state == GRANTED
