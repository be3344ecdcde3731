"""``creditgate report``: issued, looked up, verified offline, taken back."""

import asyncio
import json
import shlex
from pathlib import Path

import pytest

from creditgate.transparency.note import VerifierKey
from gateway.cli.output import utc_seconds
from sdk.verifying import main as verify_with_little
from tests.cli.commands import Done, creditgate_here
from tests.people import COMPANY
from tests.reports.conftest import Site
from tests.reports.printed import text_of_pdf
from tests.subject.world import DAY, PENALTY, TAX

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def command(site: Site, *arguments: str | Path) -> Done:
    """Run ``creditgate report`` as the operator's client, while the gateway serves."""
    home = site.world.installation.home
    profile = ("--profile", home.profile("alpha-one"))
    return await asyncio.to_thread(creditgate_here, home.root, "report", *arguments, *profile)


async def issued(site: Site, folder: Path) -> Done:
    """Have a report issued into ``folder``, with what it takes to verify it there."""
    browser, issuer = site.world.browser, site.world.gateway.running.issuer
    keys = await browser.http.get(f"{issuer}/consent/receipt-keys.json")
    (folder / "keys.json").write_bytes(keys.content)
    files = ("--output", folder / "report.jws", "--pdf", folder / "report.pdf")
    items = ("--item", PENALTY, "--item", "list.serious-dishonesty")
    return await command(
        site, "issue", COMPANY, *items, "--purpose", "credit-approval", *files, "--json"
    )


def verified(site: Site, folder: Path, *more: str | Path, key: VerifierKey | None = None) -> Done:
    """Verify the report in ``folder`` with nothing but what is kept there."""
    vkey = str(key or site.reporter.log)
    kept = ("--keys", folder / "keys.json", "--issuer", site.world.gateway.running.issuer)
    where = (folder / "no-home", "report", "verify", folder / "report.jws")
    return creditgate_here(*where, "--key", vkey, *kept, *more)


async def test_a_report_is_issued_and_verified_with_nothing_but_kept_keys(
    site: Site, tmp_path: Path
) -> None:
    done = await issued(site, tmp_path)
    assert done.status == 0, done.told
    assert done.json["charged_entries"] == 1
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")

    told = verified(site, tmp_path)
    assert told.status == 0, told.told
    for part in (
        "complete",
        COMPANY,
        f"{PENALTY}: 1",
        "list.serious-dishonesty: nothing disclosed",
    ):
        assert part in told.out, part
    document = verified(site, tmp_path, "--json").json
    assert document["report"]["report"] == done.json["report"]["name"]


async def test_the_line_printed_on_a_report_verifies_it_for_somebody_without_a_profile(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await issued(site, tmp_path)).status == 0
    printed = text_of_pdf((tmp_path / "report.pdf").read_bytes()).splitlines()
    (line,) = [each for each in printed if each.startswith("creditgate ")]
    # Nothing but the report, the two keys and the program: in a folder of its own, offline.
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(line.replace("$VKEY", str(site.reporter.log)))
    assert program == "creditgate"
    told = creditgate_here(tmp_path / "no-home", *words)
    assert told.status == 0, told.told
    assert COMPANY in told.out

    # The issuer the report names is believed only where the pinned log is its own.
    other = VerifierKey("elsewhere.example/log/disclosure", site.reporter.log.public)
    told = creditgate_here(
        tmp_path / "no-home", *shlex.split(line.replace("$VKEY", str(other)))[1:]
    )
    assert told.status == 1
    assert "name the issuer you trust" in told.told


async def test_of_items_that_take_consent_it_is_told_that_nothing_else_is_the_gateways_word(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await issued(site, tmp_path)).status == 0
    assert verified(site, tmp_path, "--json").json["complete_on_the_gateways_word"] == []
    assert "as to some on its word" not in verified(site, tmp_path).out

    asked = ("--item", TAX, "--item", PENALTY, "--consent", site.world.given().name)
    file = ("--output", tmp_path / "report.jws")
    done = await command(site, "issue", COMPANY, *asked, "--purpose", "credit-approval", *file)
    assert done.status == 0, done.told
    told = " ".join(verified(site, tmp_path).out.split())
    assert "complete, as to some on its word" in told
    assert f"that nothing was left out of {TAX} of {COMPANY}" in told
    assert verified(site, tmp_path, "--json").json["complete_on_the_gateways_word"] == [TAX]
    kept = ["--keys", str(tmp_path / "keys.json"), "--key", str(site.reporter.log)]
    kept += ["--issuer", site.world.gateway.running.issuer]
    little = ["report", str(tmp_path / "report.jws"), *kept]
    assert verify_with_little(little, lambda: site.world.now) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["complete_on_the_gateways_word"] == [TAX]


async def test_what_is_forged_altered_or_over_is_told_in_one_line(
    site: Site, tmp_path: Path
) -> None:
    assert (await issued(site, tmp_path)).status == 0
    other = VerifierKey(site.reporter.origin, b"k" * 32)
    assert "proof does not hold" in verified(site, tmp_path, key=other).told
    later = utc_seconds(site.world.now + 31 * DAY)
    assert "was valid until" in verified(site, tmp_path, "--at", later).told
    report = (tmp_path / "report.jws").read_text()
    other_character = "A" if report[-9] != "A" else "B"
    (tmp_path / "report.jws").write_text(report[:-9] + other_character + report[-8:])
    altered = verified(site, tmp_path)
    assert (altered.status, altered.out) == (1, "")
    assert altered.told.count("\n") == 1
    assert verified(site, tmp_path, "--key", "no key").status == 1


async def test_a_report_is_looked_up_kept_with_its_status_and_taken_back(
    site: Site, tmp_path: Path
) -> None:
    report = (await issued(site, tmp_path)).json["report"]
    status = tmp_path / "status.jws"
    look = ("status", report["name"], report["check_code"], "--output", status)
    assert "current" in (await command(site, *look)).out
    fresh = verified(site, tmp_path, "--status", status)
    assert fresh.status == 0
    assert "status as of" in fresh.out
    assert "current" in fresh.out
    later = ("--status", status, "--at", utc_seconds(site.world.now + 2 * 3_600))
    stale = verified(site, tmp_path, *later)
    assert (stale.status, stale.out) == (1, "")
    assert "older than 3600 seconds" in stale.told
    small = ["report", str(tmp_path / "report.jws"), "--key", str(site.reporter.log)]
    small += ["--keys", str(tmp_path / "keys.json"), "--status", str(status)]
    assert verify_with_little(small, lambda: site.world.now) == 0
    assert verify_with_little(small, lambda: site.world.now + 2 * 3_600) == 1
    assert verified(site, tmp_path, *later, "--freshness", "8000").status == 0

    done = await command(site, "revoke", report["name"], "--reason", "Invented")
    assert "revoked" in done.out
    again = await command(site, "get", report["name"])
    assert (again.status, "revoked" in again.out) == (0, True)
    assert (await command(site, *look, "--json")).json["state"] == "CREDIT_REPORT_STATE_REVOKED"
    gone = verified(site, tmp_path, "--status", status)
    assert gone.status == 1
    assert "revoked" in gone.told
    wrong = await command(site, "status", report["name"], "2" * 12, "--json")
    assert (wrong.status, json.loads(wrong.out)["error"]["reason"]) == (2, "RESOURCE_NOT_FOUND")
