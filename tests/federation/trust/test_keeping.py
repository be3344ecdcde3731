"""Chains are fetched, verified and kept known; what does not change is written once."""

import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.federation.trust import keeper as keeping
from gateway.federation.trust.chain import AnchorTrust
from gateway.federation.trust.keeper import ChainKeeper
from gateway.federation.trust.news import News
from gateway.federation.trust.resolver import UNREACHABLE, ChainResolver
from gateway.federation.trust.statement import StatementInvalid
from operators.authority import Authority
from operators.regions import REGION, region_client_id
from operators.sql import SqlAuthorityLog
from tests.clock import StandingClock
from tests.federating import DISTRICTS, Anchor, RegionGateway, running_anchor_at, running_region
from tests.federation.trust.signing import LEAF
from tests.installation import Installation
from tests.stores import SqliteStores, engines_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Keeping:
    """A keeper over a store of its own, beside a region and an anchor that answer."""

    def __init__(self, anchor: Anchor, region: RegionGateway, log: SqlAuthorityLog) -> None:
        self.anchor, self.region, self.log = anchor, region, log
        self.clock = StandingClock(int(time.time()))
        self.resolver = self.resolving(AnchorTrust(anchor.entity_id, anchor.home.key().jwks))
        self.keeper = ChainKeeper(self.log, self.authority, self.resolver, self.news, self.clock)

    def resolving(self, trust: AnchorTrust, roots: str | None = None) -> ChainResolver:
        return ChainResolver(trust, roots or self.anchor.home.ca.read_text(), self.clock)

    def authority(self) -> Authority:
        return Authority.empty().advanced(self.log.since(0))

    def news(self) -> News:
        register = self.anchor.home.register()
        revisions = {name: region.revision for name, region in register.regions.items()}
        cut = {name: 1 for name, region in register.regions.items() if region.cut_off_at}
        return News(register.number, self.clock.now(), revisions, cut, "")

    def step(self, monkeypatch: pytest.MonkeyPatch, after: float) -> None:
        began = time.monotonic()
        monkeypatch.setattr(keeping, "monotonic", lambda: began + after)
        self.keeper.step()

    @property
    def written(self) -> list[Any]:
        client_id = region_client_id(self.region.entity_id)
        return [
            change.document
            for change in self.log.history(kind=REGION, id=client_id, after=0, limit=99)
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[tuple[Anchor, RegionGateway]]:
    """An anchor and a region that answer; tests leave them as they were."""
    folder = tmp_path_factory.mktemp("keeping")
    async with running_anchor_at(folder / "anchor", life=20_000) as anchor:
        installation = Installation("sqlite", folder / "one", settings=anchor.settings())
        async with running_region(installation, anchor, (DISTRICTS["one"],)) as region:
            yield anchor, region
        installation.close()


@pytest.fixture
def kept(place: tuple[Anchor, RegionGateway], sqlite_stores: SqliteStores) -> Iterator[Keeping]:
    """A keeper on an empty store."""
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        made = Keeping(*place, SqlAuthorityLog(engines.authority))
        yield made
        made.resolver.close()


async def in_thread(function: Any, *arguments: Any) -> Any:
    import asyncio

    return await asyncio.to_thread(function, *arguments)


async def test_what_a_chain_says_is_written_once_and_again_when_it_soon_expires(
    kept: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    for after in (0, 1, 61, 122):
        await in_thread(kept.step, monkeypatch, after)
    (first,) = kept.written
    assert first["codes"] == [DISTRICTS["one"]]
    assert first["stands_until"] - kept.clock.now() == pytest.approx(20_000, abs=5)
    # By then more than half of what it stands is over.
    kept.clock.at += 10_100
    await in_thread(kept.step, monkeypatch, 200)
    # The anchor's clock went on less: its statement is the same, and no better is to be had.
    assert len(kept.written) <= 2


async def test_what_the_anchor_states_anew_is_fetched_at_once(
    kept: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_thread(kept.step, monkeypatch, 0)
    kept.anchor.enrol(await kept.region.configuration(), ("000009",))
    await in_thread(kept.step, monkeypatch, 1)
    assert [document["codes"] for document in kept.written] == [[DISTRICTS["one"]], ["000009"]]
    assert kept.written[1]["revision"] > kept.written[0]["revision"]
    kept.anchor.enrol(await kept.region.configuration(), (DISTRICTS["one"],))


async def test_nothing_is_fetched_of_a_region_that_is_cut_off(
    kept: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.anchor.cut_off(kept.region.entity_id)
    await in_thread(kept.step, monkeypatch, 0)
    assert kept.written == []
    kept.anchor.restore(kept.region.entity_id)


async def test_a_region_that_cannot_be_reached_hinders_no_other(
    kept: Keeping, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register = kept.anchor.home.register()
    enrolled = register.regions[kept.region.entity_id]
    kept.anchor.home.change(
        lambda before: before.enrolled(LEAF, enrolled.jwks, enrolled.tls_roots, ("000008",), 1),
        what="enrol", about=LEAF, by="t", why="t", now=1,
    )  # fmt: skip
    await in_thread(kept.step, monkeypatch, 0)
    assert len(kept.written) == 1
    assert f"the chain of {LEAF}" in caplog.text
    kept.anchor.withdraw(LEAF)


async def test_a_chain_is_resolved_by_the_anchors_own_keys_and_servers_alone(
    kept: Keeping,
) -> None:
    other = kept.region.own().entity_key.jwks
    anchor = kept.anchor.entity_id
    for trust, roots in [
        (AnchorTrust(anchor, other), None),
        (AnchorTrust(anchor, kept.anchor.home.key().jwks), kept.region.own().roots),
        (AnchorTrust(kept.region.entity_id, other), kept.region.own().roots),
    ]:
        resolver = kept.resolving(trust, roots)
        with pytest.raises(UNREACHABLE):
            await in_thread(resolver.chain, kept.region.entity_id)
        resolver.close()
    chain = await in_thread(kept.resolver.chain, kept.region.entity_id)
    assert chain.entity_id == kept.region.entity_id


async def test_a_chain_is_not_resolved_once_the_anchor_states_nothing(kept: Keeping) -> None:
    await in_thread(kept.resolver.chain, kept.region.entity_id)
    kept.anchor.cut_off(kept.region.entity_id)
    # A statement it has still holds; of a newer revision there is none.
    revision = kept.anchor.home.register().number
    with pytest.raises(StatementInvalid, match="404"):
        await in_thread(kept.resolver.chain, kept.region.entity_id, revision)
    kept.anchor.restore(kept.region.entity_id)


async def test_a_region_whose_log_has_a_name_at_anothers_place_is_not_kept_as_it_says(
    kept: Keeping, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register = kept.anchor.home.register()
    enrolled, owner = register.regions[kept.region.entity_id], f"{kept.region.entity_id}/log"
    kept.anchor.home.change(
        lambda before: before.enrolled(owner, enrolled.jwks, enrolled.tls_roots, ("000008",), 1),
        what="enrol", about=owner, by="t", why="t", now=1,
    )  # fmt: skip
    await in_thread(kept.step, monkeypatch, 0)
    assert kept.written == []
    assert "at the place of another region" in caplog.text
    # Once nobody is there any more it may keep the name.
    kept.anchor.withdraw(owner)
    await in_thread(kept.step, monkeypatch, 3)
    assert len(kept.written) == 1
