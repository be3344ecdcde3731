"""The shipped catalogue, made ready once."""

from collections.abc import AsyncIterator
from time import monotonic

import pytest
from sqlalchemy import Engine

from gateway.authority.feed import AuthorityFeed, PollBell
from gateway.catalogue.admission import AdmissionRules
from gateway.clock import SystemClock
from gateway.oauth.revocation_log import SqlRevocationLog
from operators.sql import SqlAuthorityLog
from tests.catalogue.drafts import national
from tests.catalogue.world import World


@pytest.fixture(scope="session")
def rules() -> AdmissionRules:
    """The rules of the shipped catalogue."""
    return AdmissionRules(national())


@pytest.fixture
async def world(authority_engine: Engine) -> AsyncIterator[World]:
    """The catalogue service over an empty authority log, on each store."""
    log = SqlAuthorityLog(authority_engine)
    feed = AuthorityFeed(
        log,
        revocations=SqlRevocationLog(authority_engine),
        clock=SystemClock(),
        poll_seconds=60,
        lease_seconds=600,
        monotonic=monotonic,
        bell=PollBell(),
    )
    await feed.refresh()
    yield World(log, feed)
    await feed.stop()
