"""The anchor's key is changed as docs/regions.md tells, and nobody has to be started again."""

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


async def test_regions_that_are_given_the_next_key_beside_the_present_believe_news_of_both(
    tmp_path: Path,
) -> None:
    with bound_socket("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
    anchor = made_anchor(tmp_path / "anchor", port)
    following = tmp_path / "next.pem"
    known = tmp_path / "known.json"
    keys = [anchor.home.key().public, EntityKey.kept_in(following).public]
    known.write_text(json.dumps({"keys": keys[:1]}))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_anchor(anchor.home, "127.0.0.1", port))
        regions: list[RegionGateway] = []
        for name in _NAMES:
            settings = anchor.settings() | {"federation_anchor_keys": known}
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
        known.write_text(json.dumps({"keys": keys}))
        following.replace(anchor.home.key_file)
        assert anchor.home.key().public == keys[1]
        assert await one.may_ask(two)

        async def is_cut_off() -> bool:
            return not await one.may_ask(two)

        # Only the new key signs this; the lease is longer than what is waited for.
        anchor.cut_off(one.entity_id)
        await eventually(is_cut_off, 10)
        anchor.restore(one.entity_id)
        await eventually(partial(one.may_ask, two), 30)
        # What is no set of keys changes nothing.
        known.write_text("half wri")
        anchor.cut_off(one.entity_id)
        await eventually(is_cut_off, 10)
        known.write_text(json.dumps({"keys": keys[1:]}))
        anchor.restore(one.entity_id)
        await eventually(partial(one.may_ask, two), 30)
