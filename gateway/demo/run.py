"""The demo's run: a gateway from nothing, seeded, asked, changed, billed, stopped, and closed."""

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from creditgate.v1.usage_service_pb2 import Statement
from gateway.cli.catalogue_file import Outcome
from gateway.cli.output import Sheet
from gateway.cli.progress import bar
from gateway.clock import Clock, SystemClock
from gateway.demo import (
    approving,
    asking,
    billing,
    braking,
    changing,
    closing,
    consenting,
    counting,
    delivering,
    deputising,
    disputing,
    holding,
    looking,
    proving,
    reporting,
    reviewing,
    scoping,
    trying,
    withdrawing,
)
from gateway.demo.account import Account, Section, Step
from gateway.demo.cast import ADMINISTRATOR, ALPHA, BETA, GAMMA, PUBLISHER, Party
from gateway.demo.gateway_process import gateway_process
from gateway.demo.representing import representing
from gateway.demo.seed import Seeded, acting_as, seed
from gateway.demo.sources import Loaded, loaded_from
from gateway.demo.stage import Player, Stage
from gateway.installation.home import Home
from gateway.server.process import Running
from sdk.loading.load import Progress


@dataclass(frozen=True, slots=True)
class DemoRun:
    """How a demo went: its account, the seeding, the statements, seconds it took."""

    account: Account
    seeded: Seeded
    rejects: dict[str, int]
    statements: tuple[Statement, ...]
    seconds: float


async def run_demo(folder: Path, data: Path | None, told: Callable[[Section], None]) -> DemoRun:
    """Run the demo in ``folder``, which is emptied first, and return how it went.

    ``data`` is a folder of files to load, None the sample that ships. Each section is
    given to ``told`` when it is over. Raises GatewayDidNotStart, and what `seed` raises.
    """
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    home, clock, account = Home.at(folder), SystemClock(), Account(unless_cancelled(told))
    async with gateway_process(home) as running:
        seeded = await _seeded(home, running, clock, data)
        loaded = loaded_from(seeded.source, seeded.load, clock.now())
        account.tell(_began(running, seeded, loaded))
        async with AsyncExitStack() as stack:
            stage = await _stage(home, seeded, loaded, stack)
            gamma = seeded.licences[GAMMA.operator_id].number
            account.tell(await reviewing.reviewed(stage))
            account.tell(await asking.allowed(stage))
            account.tell(await asking.refused(stage, gamma))
            account.tell(await asking.retried(stage))
            kept = await proving.checkpoint(stage)
            account.tell(await changing.corrected(stage))
            account.tell(await changing.repaired(stage))
            account.tell(await changing.suspended(stage))
            account.tell(await braking.braked(stage))
            warned, heard = await holding.told(stage)
            account.tell(warned)
            account.tell(await holding.reconciled(stage, heard))
            account.tell(await proving.proved(stage, kept))
            account.tell(await counting.counted(stage))
            account.tell(await disputing.disputed(stage))
            account.tell(await delivering.broken(stage))
            account.tell(await scoping.scoped(stage))
            li_ming = await stack.enter_async_context(representing(home))
            consented, consent = await consenting.consented(stage, li_ming)
            account.tell(consented)
            account.tell(await consenting.graded(stage, li_ming))
            account.tell(await withdrawing.paused(stage, li_ming, consent))
            account.tell(await withdrawing.revoked(stage, li_ming, consent))
            deputised, by_deputy = await deputising.deputised(stage, li_ming)
            account.tell(deputised)
            account.tell(await approving.approved(stage, li_ming))
            account.tell(await reporting.reported(stage))
            account.tell(await proving.checked(stage))
            account.tell(await billing.batch(stage))
            account.tell(await trying.tried(stage))
            bill, statements = await billing.billed(stage)
            account.tell(bill)
            account.tell(await looking.looked(stage))
            account.tell(await deputising.ended(stage, li_ming, by_deputy))
    account.tell(await closing.closed(home, statements))
    return DemoRun(account, seeded, dict(loaded.rejects), statements, time.monotonic() - started)


def unless_cancelled(told: Callable[[Section], None]) -> Callable[[Section], None]:
    """Return ``told``, after which a cancelled demo goes no further.

    gRPC loses a cancellation that meets an answer (grpc.aio's `UnaryUnaryCall`): without
    this, a Ctrl-C at that moment would do nothing.
    """

    def tell(section: Section) -> None:
        told(section)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    return tell


async def _seeded(home: Home, running: Running, clock: Clock, data: Path | None) -> Seeded:
    with bar("bytes loaded") as advance:

        def progress(state: Progress) -> None:
            advance(state.read_bytes, state.total_bytes)

        return await seed(
            home, running, clock, data=data, progress=progress, parties=(ALPHA, BETA, GAMMA)
        )


async def _stage(home: Home, seeded: Seeded, loaded: Loaded, stack: AsyncExitStack) -> Stage:
    async def player(party: Party) -> Player:
        gateway = await stack.enter_async_context(acting_as(home, party.client_id))
        return Player(party, gateway)

    return Stage(
        home=home,
        administrator=await stack.enter_async_context(acting_as(home, ADMINISTRATOR)),
        publisher=await stack.enter_async_context(acting_as(home, PUBLISHER)),
        alpha=await player(ALPHA),
        beta=await player(BETA),
        gamma=await player(GAMMA),
        invented=seeded.invented,
        loaded=loaded,
    )


def _began(running: Running, seeded: Seeded, loaded: Loaded) -> Section:
    load = seeded.load
    steps = (
        Step(
            "administrator",
            "applies the national catalogue",
            f"{sum(seeded.items.values())} items created",
            f"{seeded.items[Outcome.CREATED]} items created",
        ),
        Step(
            "publisher",
            f"loads {load.rows} rows of {load.files} file(s)",
            f"{load.rows} rows accounted for",
            f"{load.published + load.unchanged + load.rejected} rows accounted for",
        ),
        Step(
            "publisher",
            "reads the report of rejected rows",
            f"{load.rejected} with a reason",
            f"{loaded.rejects.total()} with a reason",
        ),
    )
    return Section(
        f"A gateway at {running.grpc}, tokens at {running.issuer}",
        steps,
        (_licences(seeded), _loaded(seeded, loaded)),
    )


def _licences(seeded: Seeded) -> Sheet:
    return Sheet(
        "Operators licensed",
        ("operator", "licence", "items", "records a day"),
        [
            (
                licence.operator_id,
                licence.number,
                ", ".join(licence.items),
                str(licence.daily_record_quota),
            )
            for licence in seeded.licences.values()
        ],
        frozenset({"records a day"}),
    )


def _loaded(seeded: Seeded, loaded: Loaded) -> Sheet:
    load = seeded.load
    counts = [
        ("published", load.published),
        ("unchanged", load.unchanged),
        *((f"rejected, {reason}", count) for reason, count in loaded.rejects.most_common()),
    ]
    return Sheet(
        f"Rows loaded from {seeded.source.name}",
        ("outcome", "rows"),
        [(what, str(count)) for what, count in counts],
        frozenset({"rows"}),
    )
