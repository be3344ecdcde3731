"""A change is judged against the present and written whole, or not at all (G4, G7)."""

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import OperatorState
from operators.log import AuthorityLog, Draft
from operators.model import CLIENT, OPERATOR, Operator
from tests.administration.rivals import HeldLog, OvertakenLog
from tests.administration.world import CALLER, NOW, REASON, World, client, grant, reason_of

SUSPENDED = OperatorState.OPERATOR_STATE_SUSPENDED


def _change_operator(log: AuthorityLog, **changed: object) -> None:
    """Change operator alpha as another process would."""
    newest = log.history(kind=OPERATOR, id="alpha", after=0, limit=100)[-1]
    present = Operator.from_document(
        newest.document, version=newest.version, changed_at=newest.changed_at
    )
    document = present.model_copy(update=changed).as_document()
    draft = Draft(OPERATOR, "alpha", present.version, document)
    log.append([draft], changed_by="rival", changed_at=NOW, reason="rival")


@pytest.fixture
async def overtaken(world: World) -> OvertakenLog:
    """A log that holds operator alpha."""
    await world.create()
    return OvertakenLog(world.log)


async def test_change_of_something_else_in_the_same_thing_is_not_lost(
    overtaken: OvertakenLog,
) -> None:
    async with World(overtaken) as world:
        overtaken.rivals = [lambda: _change_operator(overtaken.log, display_name="Renamed")]
        suspended = await world.suspend()
        assert (suspended.display_name, suspended.state) == ("Renamed", SUSPENDED)
        assert suspended.etag == "3"


async def test_change_is_judged_again_after_the_one_that_overtook_it(
    overtaken: OvertakenLog,
) -> None:
    async with World(overtaken) as world:
        overtaken.rivals = [lambda: _change_operator(overtaken.log, state=SUSPENDED)]
        with pytest.raises(Refused) as refusal:
            await world.suspend()
        assert reason_of(refusal) == "STATE_CONFLICT"
        assert len(world.history(OPERATOR, "alpha")) == 2
        assert world.authority.operators["alpha"].state == SUSPENDED


async def test_change_overtaken_again_and_again_gives_the_etag_mismatch(
    overtaken: OvertakenLog,
) -> None:
    async with World(overtaken) as world:
        overtaken.rivals = [
            lambda: _change_operator(overtaken.log, display_name="Renamed") for _ in range(8)
        ]
        with pytest.raises(Refused) as refusal:
            await world.suspend()
        assert reason_of(refusal) == "ETAG_MISMATCH"
        assert len(world.history(OPERATOR, "alpha")) == 9


async def test_update_overtaken_by_another_gives_the_etag_mismatch(
    overtaken: OvertakenLog,
) -> None:
    async with World(overtaken) as world:
        request = pb.GetOperatorRequest(operator_id="alpha")
        operator = (await world.service.get_operator(request, CALLER)).operator
        overtaken.rivals = [lambda: _change_operator(overtaken.log, display_name="Renamed")]
        with pytest.raises(Refused) as refusal:
            await world.service.update_operator(
                pb.UpdateOperatorRequest(operator=operator, reason=REASON), CALLER
            )
        assert reason_of(refusal) == "ETAG_MISMATCH"
        assert world.history(OPERATOR, "alpha")[-1].document["display_name"] == "Renamed"


async def test_change_is_judged_against_what_other_processes_wrote(
    stored_world: World,
) -> None:
    await stored_world.create()
    async with World(stored_world.log) as other:
        await stored_world.revoke()
        seen = other.authority.operators["alpha"].state
        assert seen == OperatorState.OPERATOR_STATE_ACTIVE
        for call in (
            other.issue(),
            other.register("alpha-one", "OPERATOR", "alpha"),
            other.grant(grant()),
            other.suspend(),
        ):
            with pytest.raises(Refused) as refusal:
                await call
            assert reason_of(refusal) == "STATE_CONFLICT"


async def test_change_whose_caller_went_away_is_finished_before_the_next(world: World) -> None:
    held = HeldLog(world.log)
    async with World(held) as slow:
        first = asyncio.create_task(slow.register("feeder", "PUBLISHER"))
        await asyncio.to_thread(held.reached.wait, 10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        same_certificate = client("other", "PUBLISHER")
        same_certificate.certificate_thumbprints[:] = client("feeder").certificate_thumbprints
        second = asyncio.create_task(
            slow.service.register_client(
                pb.RegisterClientRequest(client=same_certificate, reason=REASON), CALLER
            )
        )
        await asyncio.sleep(0.05)
        held.go_on.set()
        with pytest.raises(Refused) as refusal:
            await second
        assert reason_of(refusal) == "INVALID_REQUEST"
        assert [change.version for change in world.history(CLIENT, "feeder")] == [1]


async def test_failing_store_changes_nothing_and_holds_nobody_up(world: World) -> None:
    held = HeldLog(world.log)
    held.go_on.set()
    async with World(held) as failing:
        held.fails = True
        with pytest.raises(OperationalError):
            await failing.create()
        assert "alpha" not in failing.authority.operators
        held.fails = False
        await failing.create()
