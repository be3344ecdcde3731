"""Three regions, the counter of a firm at the first of them, and what its subjects take back at the
second."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from consent import regions
from consent.changing import Act
from consent.model import Actor
from consent.sql import SqlConsents
from creditgate.federated_query import consent_elsewhere
from creditgate.v1 import consent_service_pb2 as pb
from gateway.federation.asking import removal_telling
from gateway.storage.background import Pace
from sdk.tokens import TokenRefused
from tests.conformance.policies import policy_file
from tests.consents.counter import OTHER_CLIENT, furnish
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import World, open_relayed
from tests.installation import Gateway, eventually

CHUNK: Final = 2
"""Subjects of a chunk."""


@asynccontextmanager
async def open_consenting(home: Path, relay: Relay) -> AsyncGenerator[World]:
    """Run the regions of `open_relayed`; what they tell one another comes at once."""
    with pytest.MonkeyPatch.context() as patch:
        # No answer of a test is on its way for ten minutes.
        patch.setattr(regions, "LATE_SECONDS", 1)
        patch.setattr(regions, "FIRST_PAUSE_SECONDS", 1)
        patch.setattr(removal_telling, "PACE", Pace(0.5))
        # Tests before cut the way to region "two".
        patch.setattr(removal_telling, "_FIRST_PAUSE_SECONDS", 0.5)
        patch.setattr(removal_telling, "_LONGEST_PAUSE_SECONDS", 2.0)
        settings: dict[str, Any] = {
            "conformance_policy": policy_file(home),
            "chunk_subjects": CHUNK,
        }
        async with open_relayed(home, relay, **settings) as opened:
            furnish(opened.one.installation)
            await eventually(partial(_enrolled, opened.one.gateway), 10)
            yield opened


def take_back(world: World, consent: pb.Consent, now: int) -> None:
    """Take a consent of region "one" back on the pages of region "two", at ``now`` (seconds, UTC)."""
    there = SqlConsents(world.two.installation.engines.records)
    elsewhere = consent_elsewhere(world.one.entity_id, consent.name).removeprefix("consents/")
    there.move(elsewhere, "revoke", Act(Actor.SUBJECT, "representative", "", now))


async def _enrolled(gateway: Gateway) -> bool:
    try:
        async with gateway.channel(OTHER_CLIENT):
            return True
    except TokenRefused:
        return False
