"""Under the emergency brake no report is issued or given out again, not even to its company."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

import pytest

from operators.brakes import BRAKE, Reach
from tests.braking import brake
from tests.installation import OPERATOR_ID
from tests.reports.asking import CURRENT, REVOKED, refused
from tests.reports.conftest import Site
from tests.reports.own import issued, links
from tests.subject.world import PENALTY, TAX, caught_up

pytestmark = pytest.mark.asyncio(loop_scope="module")
_NUMBERS: Final[Iterator[int]] = count(1)


@asynccontextmanager
async def braked(site: Site, reach: Reach, target: str = "") -> AsyncGenerator[None]:
    """Keep a brake engaged while the context lasts."""
    name, installation = f"b-{next(_NUMBERS)}", site.world.installation
    installation.keep(BRAKE, name, brake(name, reach, target))
    await caught_up()
    yield
    installation.keep(BRAKE, name, brake(name, reach, target, released_at=9))
    await caught_up()


@pytest.mark.parametrize(
    ("reach", "target"), [("EVERYTHING", ""), ("OPERATOR", OPERATOR_ID), ("ITEM", PENALTY)]
)
async def test_no_operator_is_given_a_report_that_a_brake_reaches(
    site: Site, reach: Reach, target: str
) -> None:
    reporter = site.reporter
    request = reporter.request()
    report = (await reporter.stub.IssueCreditReport(request)).report
    async with braked(site, reach, target):
        assert await refused(reporter.stub.IssueCreditReport(request)) == "EMERGENCY_BRAKE"
        assert await refused(reporter.issue()) == "EMERGENCY_BRAKE"
        # Who relies on one may still see that it holds, and who had it may take it back.
        assert (await reporter.status(report)).state == CURRENT
    again = (await reporter.stub.IssueCreditReport(request)).report
    assert again.document == report.document
    async with braked(site, reach, target):
        assert (await reporter.revoke(report)).state == REVOKED


async def test_a_brake_on_another_item_or_operator_stops_no_report(site: Site) -> None:
    request = site.reporter.request()
    report = (await site.reporter.stub.IssueCreditReport(request)).report
    async with braked(site, "ITEM", TAX), braked(site, "OPERATOR", "somebody-else"):
        again = (await site.reporter.stub.IssueCreditReport(request)).report
        assert again.document == report.document


async def test_a_company_is_given_no_report_about_itself_either(site: Site) -> None:
    world = site.world
    await world.signed_in()
    page = await issued(world, PENALTY)
    document = links(page, "/document")[0]
    assert (await world.browser.go(document)).status_code == 200
    async with braked(site, "ITEM", PENALTY):
        assert (await world.browser.go(document)).status_code == 503
        assert (await issued(world, PENALTY)).status_code == 503
    assert (await world.browser.go(document)).status_code == 200
