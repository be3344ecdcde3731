"""A region's logs go over to other keys, and no other region pays for an answer it does not get."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.note import VerifierKey
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.demo.ports import free_port
from gateway.federation.trust import anew, keeper
from gateway.federation.trust.anew import ChainsAnew
from gateway.federation.trust.keeper import ChainKeeper
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from sdk.federated import FederatedAnswer
from tests.cli.commands import creditgate_here
from tests.federating import DISTRICTS, Anchor, RegionGateway, running_anchor_at, running_region
from tests.federation.asking.world import World, company, ended, map_items
from tests.installation import Installation, eventually

LOGS = ("usage", "disclosure")
_FETCH, _IS_DUE = "_fetch", "_is_due"


@dataclass
class Rotating:
    """Region "one" asks, region "two" is started again and again under other keys."""

    world: World
    ports: dict[str, int]
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def home(self) -> Installation:
        """The region whose keys change."""
        return self.world.two.installation

    def command(self, *words: str) -> str:
        """Give a command at the region whose keys change."""
        done = creditgate_here(self.home.folder, "log", *words)
        assert done.status == 0, done.told
        return done.out

    async def start(self) -> None:
        """Start it, at its places, and wait until it knows the other."""
        gateway = await self.stack.enter_async_context(self.home.running(**self.ports))
        self.world.regions = {"one": self.world.one, "two": RegionGateway(gateway)}  # type: ignore[misc]
        await eventually(partial(self.world.one.may_ask, self.world.two), 15)

    async def stop(self) -> None:
        """Stop it."""
        await self.world.channels.close()
        await self.stack.aclose()

    def metered(self) -> int:
        """Return how many records it has charged."""
        query = select(func.coalesce(func.sum(USAGE.c.entry_count), 0))
        with reading(self.home.engines.records) as connection:
            return connection.execute(query).scalar_one()

    def known(self) -> dict[str, Any]:
        """Return what the asking region knows of it."""
        client_id = self.world.two.client_id
        log = self.world.one.installation.log
        history = log.history(kind="region", id=client_id, after=0, limit=100)
        return dict(history[-1].document)

    async def knows_next(self) -> bool:
        """Tell whether the asking region knows which keys come next."""
        known = self.known()
        return all(
            LinkedKeys.of(
                VerifierKey.parse(known["log_keys"][log]), known["log_links"].get(log, ())
            ).announced
            for log in LOGS
        )

    async def ask(self, subject: str) -> tuple[str, int, int]:
        """Ask about a subject; return how it ended, the records given and those charged."""
        before = self.metered()
        answer = await self.answered(subject)
        given = len(_given(answer, self))
        return ended(answer, self.world.two), given, self.metered() - before

    async def answers(self) -> bool:
        """Tell whether it answers."""
        return (await self.ask(company("two")))[0] == "EMPTY"

    async def answers_about(self, subject: str) -> bool:
        """Tell whether it answers about a subject it has a record of, once enough have cosigned."""
        return (await self.ask(subject))[:2] == ("ANSWERED", 1)

    async def answered(self, subject: str) -> FederatedAnswer:
        """Return the first answer about a subject that is no refusal: a region that starts refuses,
        and charges nothing, until it has heard how the licences of the other stand."""
        for _ in range(100):
            answer = await self.world.ask(subject)
            if ended(answer, self.world.two) != "REFUSED":
                return answer
            await asyncio.sleep(0.2)
        raise AssertionError("it refuses for long")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rotating(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rotating]:
    """Two regions that answer."""
    folder: Path = tmp_path_factory.mktemp("rotating")
    patch = pytest.MonkeyPatch()
    # Not to wait for a minute.
    patch.setattr(keeper, "AGAIN_SECONDS", 0.2)
    patch.setattr(anew, "APART_SECONDS", 1.0)
    ports = {"https_port": free_port(), "grpc_port": free_port()}
    async with AsyncExitStack() as stack:
        anchor: Anchor = await stack.enter_async_context(running_anchor_at(folder / "anchor"))
        regions: dict[str, RegionGateway] = {}
        last = await stack.enter_async_context(AsyncExitStack())
        for name, context in (("one", stack), ("two", last)):
            installation = Installation("sqlite", folder / name, settings=anchor.settings())
            stack.callback(installation.close)
            installation.furnish()
            own = ports if name == "two" else {}
            regions[name] = await context.enter_async_context(
                running_region(installation, anchor, (DISTRICTS[name],), **own)
            )
        one, two = regions["one"], regions["two"]
        for here, there, name in ((one, two, "two"), (two, one, "one")):
            here.admit(there, f"region-{name}")
            map_items(here, there)
        for here, there in ((one, two), (two, one)):
            await eventually(partial(here.may_ask, there), 15)
        found = Rotating(World(anchor, regions), ports, last)
        await eventually(found.answers, 20)
        yield found
        await found.stop()
    patch.undo()


def freeze(monkeypatch: pytest.MonkeyPatch, *, anew: bool = True) -> None:
    """Let no chain be looked at because its minute is over, nor ``anew``."""
    monkeypatch.setattr(ChainKeeper, _IS_DUE, lambda *_: False)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    if not anew:
        monkeypatch.setattr(ChainsAnew, _FETCH, _nothing_new)


@pytest.mark.asyncio(loop_scope="module")
async def test_an_unknown_key_makes_a_region_look_once_before_it_disbelieves(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    fetch: Any = vars(ChainsAnew)[_FETCH]

    async def looking(self: ChainsAnew, entity_id: str) -> None:
        looked.append(entity_id)
        await fetch(self, entity_id)

    monkeypatch.setattr(ChainsAnew, _FETCH, looking)
    freeze(monkeypatch)
    subjects = [company("two") for _ in range(4)]
    for subject in subjects:
        await rotating.world.publish(rotating.world.two, subject)
    assert await rotating.ask(subjects[0]) == ("ANSWERED", 1, 1)
    await rotating.stop()
    rotating.command("rotate", "--log", "usage", "--at-once")
    await rotating.start()
    # Many at once, and each is answered: the chain is fetched for all of them together.
    before = rotating.metered()
    answers = await asyncio.gather(*map(rotating.answered, subjects))
    assert [ended(each, rotating.world.two) for each in answers] == ["ANSWERED"] * 4
    assert rotating.metered() - before == sum(len(_given(each, rotating)) for each in answers) == 4
    assert looked == [rotating.world.two.entity_id]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_key_of_receipts_that_was_announced_is_believed_from_its_first_signature(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = company("two")
    await rotating.world.publish(rotating.world.two, subject)
    for log in LOGS:
        rotating.command("announce", "--log", log)
    await eventually(rotating.knows_next, 15)
    freeze(monkeypatch, anew=False)
    before = rotating.known()
    await rotating.stop()
    rotating.command("rotate", "--log", "usage", "--at-once")
    await rotating.start()
    ended_as, records, charged = await rotating.ask(subject)
    assert (ended_as, records, charged) == ("ANSWERED", 1, 1)
    assert rotating.known() == before


@pytest.mark.asyncio(loop_scope="module")
async def test_a_disclosure_log_that_was_announced_is_believed_once_its_region_has_gone_over(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = company("two")
    await rotating.world.publish(rotating.world.two, subject)
    freeze(monkeypatch)
    before = rotating.known()["log_keys"]["disclosure"]
    await rotating.stop()
    rotating.command("rotate", "--log", "disclosure", "--at-once")
    await rotating.start()

    async def gone_over() -> bool:
        return rotating.known()["log_keys"]["disclosure"] != before

    # By what its witness is shown: nobody has asked yet.
    await eventually(gone_over, 15)
    await eventually(partial(rotating.answers_about, subject), 15)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_key_that_its_region_does_not_name_is_not_believed(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = company("two")
    await rotating.world.publish(rotating.world.two, subject)
    freeze(monkeypatch, anew=False)
    await rotating.stop()
    rotating.command("rotate", "--log", "usage", "--stolen")
    await rotating.start()
    answer = await rotating.answered(subject)
    closing = answer.regions[rotating.world.two.entity_id].closing
    assert closing is not None and ended(answer, rotating.world.two) == "UNVERIFIED"
    assert closing.refusal == RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED


def _given(answer: FederatedAnswer, rotating: Rotating) -> list[Any]:
    return answer.regions[rotating.world.two.entity_id].records


async def _nothing_new(_: ChainsAnew, __: str) -> None:
    """Look at no chain: what is known of a region stays so."""
