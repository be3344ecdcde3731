"""The anchor's key is changed as docs/regions.md tells, and no region has to be stopped."""

import json
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from gateway.anchor.serving import running_anchor
from gateway.federation.trust.entity_key import EntityKey
from gateway.oauth.connection import bound_socket
from tests.federating import DISTRICTS, RegionGateway, made_anchor, running_region
from tests.installation import Installation, eventually

_NAMES = ("one", "two")


async def test_regions_that_were_given_the_next_key_beside_the_present_believe_news_of_both(
    tmp_path: Path,
) -> None:
    with bound_socket("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
    anchor = made_anchor(tmp_path / "anchor", port)
    following = tmp_path / "next.pem"
    both = tmp_path / "both.json"
    keys = [anchor.home.key().public, EntityKey.kept_in(following).public]
    both.write_text(json.dumps({"keys": keys}))
    async with AsyncExitStack() as stack:
        present = AsyncExitStack()
        await present.enter_async_context(running_anchor(anchor.home, "127.0.0.1", port))
        regions: list[RegionGateway] = []
        for name in _NAMES:
            settings = anchor.settings() | {"federation_anchor_keys": both}
            installation = Installation("sqlite", tmp_path / name, settings=settings)
            stack.callback(installation.close)
            installation.furnish()
            regions.append(
                await stack.enter_async_context(
                    running_region(installation, anchor, (DISTRICTS[name],))
                )
            )
        one, two = regions
        two.admit(one, "region-one")
        await eventually(partial(one.may_ask, two), 30)
        await present.aclose()
        following.replace(anchor.home.key_file)
        assert anchor.home.key().public == keys[1]
        await stack.enter_async_context(running_anchor(anchor.home, "127.0.0.1", port))
        assert await one.may_ask(two)

        async def is_cut_off() -> bool:
            return not await one.may_ask(two)

        # Only the new key signs this; the lease is longer than what is waited for.
        anchor.cut_off(one.entity_id)
        await eventually(is_cut_off, 10)
        anchor.restore(one.entity_id)
        await eventually(partial(one.may_ask, two), 30)
