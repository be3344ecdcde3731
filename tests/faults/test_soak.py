"""Faults of every kind, alone and together, for minutes: what was answered meanwhile is judged by a
model that knows nothing of gateways, from G1 to G12 as far as each can be seen from outside.

``CREDITGATE_SOAK_SECONDS`` is how long, ``CREDITGATE_SOAK_SEED`` gives the chances of a run again.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.faults.breaking import Breaker
from tests.faults.ledgers import broken_promises
from tests.faults.model import WHOLE, Answer, Record
from tests.faults.regions import open_country
from tests.faults.watching import Watcher, furnished, watching, whole
from tests.faults.way import by_way, open_way
from tests.federation.asking.world import company
from tests.installation import CONSENT_ITEM, PUBLIC_ITEM
from tests.own_server import OwnServer

_SECONDS: Final = float(os.environ.get("CREDITGATE_SOAK_SECONDS", "300"))
_CALLERS: Final = 4
_SUBJECTS: Final = 24
_MOST_FAULTS: Final = 3
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.02


@dataclass
class Stage:
    """What operators, publishers and subjects do until it is over."""

    watcher: Watcher
    chance: random.Random
    subjects: list[str]
    over: bool = False
    asked: list[Answer] = field(default_factory=list[Answer])

    async def ask(self) -> None:
        """Ask, ask again what broke and what did not, now and then twice at once."""
        while not self.over:
            before = self.chance.choice(self.asked) if self.asked else None
            if before is not None and self.chance.random() < 0.4:
                await asyncio.gather(*(self._again(before, twice) for twice in self._calls()))
            else:
                self.asked.append(await self._new())
            await asyncio.sleep(_PAUSE_SECONDS)

    def _calls(self) -> tuple[bool, ...]:
        return self.chance.choice(((False,), (True,), (False, True)))

    async def _again(self, before: Answer, by_second: bool) -> Answer:
        return await self.watcher.ask(
            before.subjects,
            before.item,
            before.consent,
            request_id=before.request_id,
            seconds=self.chance.choice((0.5, 2.0)),
            by_second=by_second,
        )

    async def _new(self) -> Answer:
        consents = list(self.watcher.history.consents.values())
        if consents and self.chance.random() < 0.3:
            consent = self.chance.choice(consents[-6:])
            return await self.watcher.ask([consent.subject], CONSENT_ITEM, consent.name)
        some = self.chance.sample(self.subjects, self.chance.randrange(1, 6))
        return await self.watcher.ask(some, PUBLIC_ITEM, seconds=self.chance.choice((0.5, 3.0)))

    async def publish(self) -> None:
        """Publish and withdraw records."""
        standing: list[Record] = []
        while not self.over:
            home = self.chance.choice(self.watcher.country.homes)
            mine = [each for each in standing if each.region == home.issuer]
            if mine and self.chance.random() < 0.4:
                record = self.chance.choice(mine)
                standing.remove(record)
                await self.watcher.withdraw(home, record)
            else:
                item = self.chance.choice((PUBLIC_ITEM, PUBLIC_ITEM, CONSENT_ITEM))
                subject = self.chance.choice(self.subjects)
                standing.append(await self.watcher.publish(home, subject, item))
            await asyncio.sleep(self.chance.uniform(0, 0.4))

    async def consent(self) -> None:
        """Give consents and take them back."""
        while not self.over:
            consent = await self.watcher.consented(self.chance.choice(self.subjects))
            await asyncio.sleep(self.chance.uniform(0.5, 4))
            if self.chance.random() < 0.7:
                await self.watcher.revoke(consent)

    async def finish(self) -> int:
        """Ask for all that is left until it is whole; return how many questions never were."""
        for _ in range(_TRIES):
            left = self._left()
            for start in range(0, len(left), _CALLERS):
                some = left[start : start + _CALLERS]
                await asyncio.gather(*(self._again(each, by_second=False) for each in some))
        await self.watcher.marked()
        for start in range(0, len(self.subjects), 4):
            await self.watcher.ask(self.subjects[start : start + 4], seconds=10)
        return len(self._left())

    def _left(self) -> list[Answer]:
        history = self.watcher.history
        got: dict[str, set[str]] = {}
        ended: set[str] = set()
        for answer in history.answers:
            whole_of = {region for region, end in answer.ends.items() if end in WHOLE}
            got.setdefault(answer.request_id, set()).update(whole_of)
            if answer.refused == "CONSENT_REVOKED":
                ended.add(answer.request_id)
        return [
            each
            for each in self.asked
            if frozenset(got[each.request_id]) != history.homes and each.request_id not in ended
        ]


@pytest.fixture
def server() -> Iterator[OwnServer]:
    """A PostgreSQL server of this test's own."""
    started = OwnServer()
    yield started
    started.remove()


@asynccontextmanager
async def broken_country(
    folder: Path, server: OwnServer, chance: random.Random
) -> AsyncGenerator[tuple[Breaker, Stage]]:
    """Give three regions to break, "two" on PostgreSQL, and what is done to them."""
    async with open_way() as way:
        stores = {"two": (server.database, folder / "two")}
        async with (
            open_country(
                *(folder, "one", "two", "three"),
                stores=stores,
                databases={"two": by_way(server.database, way)},
                furnish=furnished,
            ) as country,
            watching(country) as watcher,
        ):
            await whole(watcher)
            subjects = [company(("two", "three")[number % 2]) for number in range(_SUBJECTS)]
            yield Breaker(country, server, way, chance), Stage(watcher, chance, subjects)


@pytest.mark.soak
async def test_whatever_breaks_every_promise_holds(tmp_path: Path, server: OwnServer) -> None:
    seed = int(os.environ.get("CREDITGATE_SOAK_SEED", str(random.randrange(1 << 32))))
    print(f"\nseed {seed}, {_SECONDS:.0f} s")
    chance = random.Random(seed)
    until, rounds = time.monotonic() + _SECONDS, 0
    async with broken_country(tmp_path, server, chance) as (breaker, stage):
        async with asyncio.TaskGroup() as acting:
            for act in (*[stage.ask] * _CALLERS, stage.publish, stage.consent):
                acting.create_task(act())
            while time.monotonic() < until:
                faults = chance.randrange(1, _MOST_FAULTS + 1)
                await breaker.break_for(chance.uniform(1, 5), faults)
                breaker.database_way.heal()
                await whole(stage.watcher)
                rounds += 1
            stage.over = True
        print(f"{rounds} rounds: {dict(breaker.tried)}", flush=True)
        left = await stage.finish()
        found = await asyncio.to_thread(broken_promises, stage.watcher)
        history = stage.watcher.history
        print(f"{len(history.answers)} answers, {left} questions never whole: {history.outcomes()}")
        print(
            f"{len(history.records)} records, {len(history.consents)} consents; {found or 'held'}"
        )
        assert found == []
