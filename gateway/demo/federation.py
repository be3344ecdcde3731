"""The demo of the federation: three regions, one question, a region that fails, one that shows
two histories, one that the anchor cuts off, and what regions owe one another in the end."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from creditgate.refusal import reason_name
from creditgate.transparency.note import VerifierKey
from creditgate.v1 import region_service_pb2 as region_pb
from creditgate.v1 import witness_service_pb2 as witness_pb
from creditgate.v1.federated_record_service_pb2 import (
    NotAskedReason,
    QueryRegionsRequest,
    RegionOutcome,
)
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli.output import Sheet, yuan
from gateway.demo.account import Account, Section, Step
from gateway.demo.cast import ADMINISTRATOR, PENALTY
from gateway.demo.enrolment import REASON
from gateway.demo.federation_cast import ASKER, CLEAN, NORTH, SOUTH, WANDERER, WEST, InventedRegion
from gateway.demo.federation_clearing import cleared
from gateway.demo.federation_land import Land, land, until
from gateway.demo.federation_split import show_another_history
from gateway.demo.run import unless_cancelled
from gateway.demo.seed import acting_as
from sdk.federated import FederatedAnswer, ask_regions
from sdk.request_ids import new_request_id

_SOON_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class FederationRun:
    """How the demo went, and the seconds it took."""

    account: Account
    seconds: float


async def run_federation(folder: Path, told: Callable[[Section], None]) -> FederationRun:
    """Run the demo in ``folder``, which is emptied first, and return how it went.

    Each section is given to ``told`` when it is over. Raises as `land`.
    """
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    account = Account(unless_cancelled(told))
    async with land(folder) as made:
        scenes = _Scenes(made)
        await until(scenes.answered)
        account.tell(await scenes.asked())
        account.tell(await scenes.verified())
        account.tell(await scenes.retried())
        account.tell(await scenes.split())
        account.tell(await scenes.cut_off())
        account.tell(await cleared(made))
    return FederationRun(account, time.monotonic() - started)


class _Scenes:
    def __init__(self, made: Land) -> None:
        self._land = made
        self._request_id = new_request_id()

    async def answered(self) -> bool:
        """Tell whether both other regions answer."""
        answer = await self._ask(CLEAN)
        return [self._how(answer, each) for each in (SOUTH, WEST)] == ["EMPTY", "EMPTY"]

    async def asked(self) -> Section:
        """Ask about a company that two regions know, and about one that none does."""
        answer = await self._ask(WANDERER, request_id=self._request_id)
        clean = await self._ask(CLEAN)
        records = sum(len(each.records) for each in answer.regions.values())
        return Section(
            "One question, by the operator's own gateway in the north, to all regions (跨地区查询)",
            (
                Step(
                    "alpha",
                    "asks; the south, where it is registered",
                    "ANSWERED",
                    self._how(answer, SOUTH),
                ),
                Step(
                    "alpha",
                    "asks; the west, where it was penalised too",
                    "ANSWERED",
                    self._how(answer, WEST),
                ),
                Step("alpha", "counts the records of both", "2 records", f"{records} records"),
                Step(
                    "alpha",
                    "asks about a company without records; the south",
                    "EMPTY",
                    self._how(clean, SOUTH),
                ),
                Step("alpha", "asks about it; the west", "EMPTY", self._how(clean, WEST)),
            ),
            (self._sheet(answer),),
        )

    async def verified(self) -> Section:
        """Verify the answer again, as the operator, by the pinned keys of the regions' logs."""
        answer = await self._ask(WANDERER, request_id=self._request_id)
        steps: list[Step] = []
        for region in (SOUTH, WEST):
            key = await self._log_key(region)
            came = answer.regions[self._land.of(region).entity_id]
            proved = came.verify([WANDERER], key)
            observed = f"complete for {len(proved)} subject"
            steps.append(
                Step(
                    "alpha",
                    f"verifies the answer of the {region.name} offline",
                    "complete for 1 subject",
                    observed,
                )
            )
        return Section("Each answer is proved by its region's signed checkpoint", tuple(steps))

    async def retried(self) -> Section:
        """Ask again under the same request id."""
        again = await self._ask(WANDERER, request_id=self._request_id)
        charged = sum(
            each.closing.charged_micro_yuan
            for each in again.regions.values()
            if each.closing is not None
        )
        unnamed = await self._ask(CLEAN, regions=[self._land.of(SOUTH).entity_id])
        return Section(
            "A retry is charged nothing more, and a region that is not asked is named",
            (
                Step(
                    "alpha",
                    "asks again with the same request id",
                    "0 micro-yuan",
                    f"{charged} micro-yuan",
                ),
                Step(
                    "alpha",
                    "asks the south alone; the west",
                    "NOT_ASKED NOT_NAMED",
                    self._how(unnamed, WEST),
                ),
            ),
        )

    async def split(self) -> Section:
        """Let the west show the north another history of its log than it showed before."""
        north, west = self._land.of(NORTH), self._land.of(WEST)
        async with acting_as(north.home, ADMINISTRATOR) as administrator:
            witnessed = await administrator.ask(
                witness_pb.ListWitnessedLogsRequest(), witness_pb.ListWitnessedLogsResponse
            )
            (log,) = [each for each in witnessed.logs if each.region == west.entity_id]
            said = await show_another_history(west, north, log)
            distrusted = await self._within(WEST, "REFUSED REGION_NOT_TRUSTED", WANDERER)
            found = await administrator.ask(
                witness_pb.ListSplitViewsRequest(), witness_pb.ListSplitViewsResponse
            )
            accused = {each.region for each in found.split_views}
            for each in found.split_views:
                await administrator.ask(
                    witness_pb.ClearSplitViewRequest(
                        split_view_id=each.split_view_id, note="the demo's own forgery"
                    ),
                    witness_pb.ClearSplitViewResponse,
                )
        cleared = await self._within(WEST, "ANSWERED", WANDERER)
        return Section(
            "A log that shows two histories is found out by its witnesses (分裂视图)",
            (
                Step(
                    "west", "shows the north a checkpoint of another history", "CONTRADICTS", said
                ),
                Step("alpha", "asks the west within 2 s", "REFUSED REGION_NOT_TRUSTED", distrusted),
                Step(
                    "north",
                    "keeps the evidence against",
                    "the west",
                    "the west" if accused == {west.entity_id} else str(accused),
                ),
                Step("alpha", "asks once administrators have cleared it", "ANSWERED", cleared),
            ),
        )

    async def cut_off(self) -> Section:
        """Let the anchor cut the south off, and restore it."""
        south = self._land.of(SOUTH).entity_id
        now = self._land.clock.now()
        self._land.change(lambda register: register.cut_off(south, REASON, now), "cut-off")
        gone = await self._within(SOUTH, "REFUSED REGION_NOT_TRUSTED", WANDERER)
        answer = await self._ask(WANDERER)
        other = self._how(answer, WEST)
        self._land.change(
            lambda register: register.restored(south, self._land.clock.now()), "restore"
        )
        await until(lambda: self._is(SOUTH, "ANSWERED", WANDERER))
        return Section(
            "A region that the anchor cuts off is asked no more, and is named (切断)",
            (
                Step(
                    "alpha",
                    "asks the south within 2 s of the cut",
                    "REFUSED REGION_NOT_TRUSTED",
                    gone,
                ),
                Step("alpha", "asks the west meanwhile", "ANSWERED", other),
                Step(
                    "alpha",
                    "asks the south once it is restored",
                    "ANSWERED",
                    self._how(await self._ask(WANDERER), SOUTH),
                ),
            ),
            (self._sheet(answer),),
        )

    async def _ask(
        self, subject: str, *, request_id: str = "", regions: list[str] | None = None
    ) -> FederatedAnswer:
        request = QueryRegionsRequest(
            subjects=[subject],
            items=[PENALTY],
            purpose=Purpose.PURPOSE_SUPPLIER_CHECK,
            request_id=request_id or new_request_id(),
            regions=regions,
            every_region=True,
        )
        async with acting_as(self._land.of(NORTH).home, ASKER.client_id) as gateway:
            return await ask_regions(gateway.channel, request)

    async def _within(self, region: InventedRegion, expected: str, subject: str) -> str:
        """Return how a region ended once it is as expected, or after so many seconds."""
        until_ = time.monotonic() + _SOON_SECONDS
        while True:
            observed = self._how(await self._ask(subject), region)
            if observed == expected or time.monotonic() > until_:
                return observed

    async def _is(self, region: InventedRegion, expected: str, subject: str) -> bool:
        return self._how(await self._ask(subject), region) == expected

    def _how(self, answer: FederatedAnswer, region: InventedRegion) -> str:
        """Return how a region ended, and why."""
        came = answer.regions.get(self._land.of(region).entity_id)
        if came is None or came.closing is None:
            return "missing"
        closing = came.closing
        outcome = RegionOutcome.Name(closing.outcome).removeprefix("REGION_OUTCOME_")
        if closing.not_asked:
            reason = NotAskedReason.Name(closing.not_asked).removeprefix("NOT_ASKED_REASON_")
            return f"{outcome} {reason}"
        return f"{outcome} {reason_name(closing.refusal)}" if closing.refusal else outcome

    async def _log_key(self, region: InventedRegion) -> VerifierKey:
        async with acting_as(self._land.of(NORTH).home, ADMINISTRATOR) as administrator:
            answer = await administrator.ask(
                region_pb.GetRegionRequest(entity_id=self._land.of(region).entity_id),
                region_pb.GetRegionResponse,
            )
        (key,) = [each for each in answer.region.log_keys if each.purpose == "disclosure"]
        return VerifierKey.parse(key.verifier_key)

    def _sheet(self, answer: FederatedAnswer) -> Sheet:
        names = {each.entity_id: name for name, each in self._land.provinces.items()}
        return Sheet(
            "How each region ended",
            ("region", "home of", "ended", "records", "yuan", "ms"),
            [
                (
                    names[entity_id],
                    self._land.provinces[names[entity_id]].region.code,
                    self._how(answer, self._land.provinces[names[entity_id]].region),
                    str(each.closing.records),
                    yuan(each.closing.charged_micro_yuan),
                    str(each.closing.elapsed.ToMilliseconds()),
                )
                for entity_id, each in answer.regions.items()
                if each.closing is not None
            ],
            frozenset({"records", "yuan", "ms"}),
        )
