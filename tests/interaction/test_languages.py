"""Pages that tell what went wrong do so in the language that is chosen on them."""

import httpx
import pytest

from tests.interaction.world import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def english(world: World, shown: httpx.Response) -> str:
    """Return what a page says once its English link is followed."""
    followed = await world.browser.follow(shown, "lang=en")
    assert '<html lang="en">' in followed.text
    return followed.text


@pytest.mark.parametrize("interaction_id", ["x" * 43, "none"])
async def test_a_request_that_is_over_says_so_in_english_too(
    world: World, interaction_id: str
) -> None:
    shown = await world.browser.go(f"{world.gateway.running.issuer}/interaction/{interaction_id}")
    assert "There is no such request" in await english(world, shown)


async def test_a_sign_in_that_failed_says_so_in_english_too(world: World) -> None:
    address = f"{world.gateway.running.issuer}/signin/callback?state={'x' * 43}&code=y"
    shown = await world.browser.go(address)
    assert shown.status_code == 403
    assert "Not signed in" in await english(world, shown)
