"""A region below an intermediate of the anchor: a city's, below its province's."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from joserfc import jws

from gateway.anchor.desk import AnchorDesk
from gateway.anchor.home import AnchorHome
from gateway.anchor.register import NotPossible, Register
from gateway.clock import SystemClock
from gateway.federation.trust.chain import AnchorTrust, TrustChain
from gateway.federation.trust.news import News
from gateway.federation.trust.resolver import ChainResolver
from gateway.federation.trust.statement import (
    StatementInvalid,
    configuration_url,
    self_signed,
)
from gateway.federation.trust.transfer import trusting
from tests.cli.commands import creditgate_here
from tests.clock import NOW, StandingClock
from tests.federating import DISTRICTS, Anchor, RegionGateway, running_anchor_at, running_region
from tests.federation.trust.signing import ANCHOR, KEYS, LEAF, MIDDLE
from tests.installation import Installation, eventually

ROOTS = "-----BEGIN CERTIFICATE-----"
CODES = (DISTRICTS["two"], "000009")


def register() -> Register:
    """Return an anchor's register with an intermediate, and a region below it."""
    empty = Register(entity_id=ANCHOR, life_seconds=600, number=NOW)
    with_middle = empty.enrolled(
        MIDDLE, KEYS[MIDDLE].jwks, ROOTS, CODES, NOW, intermediate=True, hosts=(".example",)
    )
    return with_middle.admitted_below(LEAF, MIDDLE, NOW)


def test_only_regions_stand_and_one_below_an_intermediate_stands_and_falls_with_it() -> None:
    entered = register()
    assert entered.standing() == {LEAF: entered.regions[MIDDLE].revision}
    assert entered.cut_offs() == {}
    assert entered.cut_off(MIDDLE, "why", NOW + 5).cut_offs() == {LEAF: NOW + 5}
    assert entered.cut_off(LEAF, "why", NOW + 6).cut_offs() == {LEAF: NOW + 6}
    again = entered.cut_off(MIDDLE, "why", NOW + 5).restored(MIDDLE, NOW + 7)
    # It is fetched anew before it stands again.
    assert again.standing()[LEAF] > entered.standing()[LEAF]
    assert entered.withdrawn(LEAF, NOW).standing() == {}


CHANGES: list[Callable[[Register], Register]] = [
    lambda entered: entered.withdrawn(MIDDLE, NOW),
    lambda entered: entered.enrolled(MIDDLE, KEYS[MIDDLE].jwks, ROOTS, CODES, NOW),
    lambda entered: entered.enrolled(LEAF, KEYS[LEAF].jwks, ROOTS, ("31",), NOW),
    lambda entered: entered.admitted_below(LEAF, MIDDLE, NOW),
    lambda entered: entered.admitted_below(MIDDLE, MIDDLE, NOW),
    lambda entered: entered.admitted_below("https://new.example", LEAF, NOW),
    lambda entered: entered.enrolled(
        "https://new.example", KEYS[LEAF].jwks, ROOTS, ("31",), NOW, hosts=("a",)
    ),
]


@pytest.mark.parametrize("change", CHANGES)
def test_an_entity_has_one_place_and_none_is_left_without_a_superior(
    change: Callable[[Register], Register],
) -> None:
    with pytest.raises(NotPossible):
        change(register())


def test_the_path_to_the_anchor_is_read_from_its_news_and_bounded() -> None:
    news = News(1, NOW, {LEAF: 1}, {}, "", {LEAF: MIDDLE, MIDDLE: "https://top.example"})
    assert news.path(LEAF) == ("https://top.example", MIDDLE)
    assert news.path(ANCHOR) == ()
    circle = News(1, NOW, {LEAF: 1}, {}, "", {LEAF: MIDDLE, MIDDLE: LEAF})
    resolver = ChainResolver(AnchorTrust(ANCHOR, KEYS[ANCHOR].jwks), None, SystemClock())
    with pytest.raises(StatementInvalid, match="too many"):
        resolver.chain(LEAF, 0, circle.path(LEAF))
    resolver.close()


def test_an_intermediate_is_made_by_a_command_and_says_who_stands_above_it(
    tmp_path: Path,
) -> None:
    home = AnchorHome.at(tmp_path / "middle")
    made = creditgate_here(
        tmp_path, "anchor", "init", MIDDLE, "--superior", ANCHOR, "--home", home.root
    )
    assert made.status == 0, made.out + made.told
    said = self_signed(AnchorDesk(home, SystemClock()).configuration(), SystemClock().now())
    assert (said.sub, said.authority_hints) == (MIDDLE, [ANCHOR])


class Country:
    """An anchor, an intermediate below it, a region right below the anchor and one below the
    intermediate."""

    def __init__(
        self, anchor: Anchor, middle: Anchor, one: RegionGateway, two: RegionGateway
    ) -> None:
        self.anchor, self.middle, self.one, self.two = anchor, middle, one, two

        self.clock = StandingClock(SystemClock().now())
        trust = AnchorTrust(anchor.entity_id, anchor.home.key().jwks)
        self.resolver = ChainResolver(trust, anchor.home.ca.read_text(), self.clock)

    async def chain(self) -> TrustChain:
        """Resolve the chain of the region below the intermediate."""
        return await asyncio.to_thread(
            self.resolver.chain, self.two.entity_id, 0, (self.middle.entity_id,)
        )

    async def codes(self) -> list[str]:
        """Return the divisions that the chain says the region is home of."""
        codes: list[str] = (await self.chain()).metadata["public_credit_region"]["codes"]
        return codes


@asynccontextmanager
async def country(folder: Path) -> AsyncGenerator[Country]:
    """Run all of it; what is done at anchor and intermediate is done by their commands."""
    async with (
        running_anchor_at(folder / "anchor") as anchor,
        running_anchor_at(folder / "middle") as middle,
    ):
        middle.home.change(
            lambda kept: kept.model_copy(
                update={"superior": anchor.entity_id, "number": kept.number + 1}
            ),
            what="test",
            about="",
            by="test",
            why="test",
            now=middle.clock.now(),
        )
        await enrol_intermediate(anchor, middle)
        one, two = (
            Installation("sqlite", folder / name, settings=anchor.settings())
            for name in ("one", "two")
        )
        for each in (one, two):
            each.furnish()
        async with (
            running_region(one, anchor, (DISTRICTS["one"],)) as first,
            running_region(two, middle, (DISTRICTS["two"],)) as second,
        ):
            made = Country(anchor, middle, first, second)
            command(anchor.home, "admit-below", second.entity_id, "--under", middle.entity_id)
            yield made
            made.resolver.close()
        one.close()
        two.close()


async def enrol_intermediate(anchor: Anchor, middle: Anchor) -> None:
    """Enrol the intermediate by its configuration, as the anchor's people do."""
    async with httpx.AsyncClient(verify=trusting(middle.home.ca.read_text())) as http:
        answer = await http.get(configuration_url(middle.entity_id))
    said = self_signed(answer.text, middle.clock.now())
    assert said.authority_hints == [anchor.entity_id]
    file = anchor.home.root / "middle.jwt"
    file.write_text(answer.text)
    command(
        anchor.home,
        "enrol",
        str(file),
        "--intermediate",
        *("--tls-roots", str(middle.home.ca), "--key", middle.home.key().kid),
        *(word for code in CODES for word in ("--code", code)),
        *("--host", "127.0.0.1"),
    )
    listed = creditgate_here(anchor.home.root, "anchor", "list", "--home", anchor.home.root)
    assert f"intermediate for {', '.join(CODES)}" in " ".join(listed.out.split())


def command(home: AnchorHome, *arguments: str) -> None:
    """Run ``creditgate anchor`` at an anchor's home, with a reason."""
    done = creditgate_here(home.root, "anchor", *arguments, "--home", home.root, "--reason", "test")
    assert done.status == 0, done.out + done.told


async def test_a_region_below_an_intermediate_stands_as_the_intermediate_states_within_its_bounds(
    tmp_path: Path,
) -> None:
    async with country(tmp_path) as land:
        one, two, middle = land.one, land.two, land.middle
        chain = await land.chain()
        assert len(chain.statements) == 4
        assert await land.codes() == [DISTRICTS["two"]]

        # Both gateways come to know one another by the news, and let one another ask.
        one.admit(two, "region-two")
        two.admit(one, "region-one")
        for asking, home in ((one, two), (two, one)):
            await eventually(partial(asking.may_ask, home), 20)
        hints = jws.extract_compact((await two.configuration()).encode()).payload
        assert f'"authority_hints":["{middle.entity_id}"]'.encode() in hints

        # What is not within what the anchor allows is not believed, and is once it is mended.
        # What an intermediate states is looked at again every ten minutes.
        configuration = await two.configuration()
        middle.enrol(configuration, ("000003",))
        assert await land.codes() == [DISTRICTS["two"]]
        land.clock.at += 601
        with pytest.raises(StatementInvalid, match="contradict"):
            await land.chain()
        middle.enrol(configuration, ("000009",))
        assert await land.codes() == ["000009"]
        # A key that the anchor no longer states of it signs nothing that is believed.
        land.anchor.home.change(
            lambda kept: kept.enrolled(
                middle.entity_id,
                KEYS[MIDDLE].jwks,
                middle.home.ca.read_text(),
                CODES,
                land.clock.now(),
                intermediate=True,
            ),
            what="test",
            about="",
            by="test",
            why="test",
            now=land.clock.now(),
        )
        land.clock.at += 100_000
        with pytest.raises(StatementInvalid):
            await land.chain()

        # With the intermediate all below it are cut off, and nobody else.
        land.anchor.cut_off(middle.entity_id)

        async def refused() -> bool:
            return not await two.may_ask(one)

        await eventually(refused, 20)
        assert await one.may_ask(one)
