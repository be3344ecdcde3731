"""What the page of a consent tells of verifying its receipt is all that it takes."""

import re
from pathlib import Path

import pytest

from tests.cli.commands import creditgate_here
from tests.subject.elsewhere import REGION, shown
from tests.subject.world import LI_MING, World, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
_COMMAND = re.compile(r"creditgate (consent receipt verify .*)")


async def test_the_command_on_the_page_verifies_the_receipt_that_is_downloaded_there(
    world: World, tmp_path: Path
) -> None:
    consent = world.ask()
    await world.signed_in(LI_MING)
    asked = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    page = await world.send(asked, "/grant")
    receipt = await world.browser.follow(page, f"{consent.consent_id}/receipt")
    (tmp_path / f"consent-{consent.consent_id}.jws").write_text(receipt.text)
    keys = await world.browser.follow(page, "receipt-keys.json")
    (tmp_path / "receipt-keys.json").write_text(keys.text)

    (command,) = _COMMAND.findall(text_of(page))
    # As in the folder that both were saved in.
    words = [tmp_path / word if (tmp_path / word).is_file() else word for word in command.split()]
    told = creditgate_here(tmp_path / "home", *words, "--json")
    assert told.status == 0, told.told
    assert told.json["artefact"]["consent"] == consent.name


async def test_the_receipt_of_another_region_is_verified_by_the_keys_of_that(world: World) -> None:
    consent = shown(world)
    await world.signed_in()
    page = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    (command,) = _COMMAND.findall(text_of(page))
    assert command.endswith(f"--issuer {REGION}")
    assert f'href="{REGION}/consent/receipt-keys.json"' in page.text
