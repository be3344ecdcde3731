"""Reports on both kinds of store, for operators and for subjects."""

from creditgate.credit_report_proof import verify_report
from tests.installation import Installation
from tests.people import browser
from tests.reports.asking import CURRENT, REVOKED, Reporter, stated
from tests.reports.own import issued, newest
from tests.subject.world import PENALTY, TAX, World, running_world, text_of


async def test_reports_are_issued_proved_looked_up_and_taken_back(
    installation: Installation,
) -> None:
    async with running_world(installation) as world, world.gateway.channel() as channel:
        reporter = Reporter(world, channel)
        consent = world.given()

        request = reporter.request(PENALTY, TAX, consent=consent)
        report = (await reporter.stub.IssueCreditReport(request)).report

        verify_report(stated(report), reporter.log)
        assert (await reporter.status(report)).state == CURRENT
        again = (await reporter.stub.IssueCreditReport(request)).report
        assert again.document == report.document
        assert (await reporter.get(report)).state == CURRENT
        await reporter.revoke(report)
        assert (await reporter.status(report)).state == REVOKED
        await _has_its_own(world, reporter)


async def _has_its_own(world: World, reporter: Reporter) -> None:
    """Check that the company's own report is issued and proved too."""
    async with browser(world.installation) as visitor:
        own = World(world.gateway, visitor)
        await own.signed_in()
        found, _ = await newest(own, await issued(own, PENALTY, TAX))
        verify_report(found, reporter.log)
        assert [each.records for each in found.items] == [1, 2]
        assert "有效" in text_of(await visitor.go(found.status_url))
