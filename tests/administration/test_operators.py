"""Operators: registered once, renamed by etag, suspended and reinstated, revoked for good."""

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.conformance.suspension import Suspensions
from tests.administration.world import (
    CALLER,
    CHIEF,
    DAY,
    NOW,
    REASON,
    World,
    create_request,
    fields_of,
    reason_of,
)
from tests.installation import company


async def _get(world: World, operator_id: str = "alpha") -> pb.Operator:
    request = pb.GetOperatorRequest(operator_id=operator_id)
    return (await world.service.get_operator(request, CALLER)).operator


async def test_operator_is_registered_active_whatever_the_request_says(world: World) -> None:
    request = create_request("alpha")
    request.operator.state = OperatorState.OPERATOR_STATE_REVOKED
    request.operator.etag = "7"
    made = (await world.service.create_operator(request, CALLER)).operator
    assert made.state == OperatorState.OPERATOR_STATE_ACTIVE
    assert (made.etag, made.update_time.seconds) == ("1", NOW)
    assert (made.display_name, made.uscc) == (
        request.operator.display_name,
        request.operator.uscc,
    )
    assert await _get(world) == made


async def test_operator_id_is_given_once(world: World) -> None:
    await world.create()
    await world.revoke()
    with pytest.raises(Refused) as refusal:
        await world.create()
    assert reason_of(refusal) == "RESOURCE_EXISTS"


async def test_operator_never_shares_the_id_of_a_client_with_scopes_of_its_own(
    world: World,
) -> None:
    await world.register("feeder", "PUBLISHER")
    await world.remove("feeder")
    await world.create("beta")
    await world.register("alpha", "OPERATOR", "beta")
    for taken in ("feeder", CHIEF):
        with pytest.raises(Refused) as refusal:
            await world.create(taken)
        assert reason_of(refusal) == "RESOURCE_EXISTS"
    await world.create("alpha")


async def test_every_fault_of_an_operator_is_named_by_its_field(world: World) -> None:
    request = pb.CreateOperatorRequest(
        operator=pb.Operator(operator_id="A", display_name=" ", uscc="secret"), reason=" "
    )
    with pytest.raises(Refused) as refusal:
        await world.service.create_operator(request, CALLER)
    assert fields_of(refusal) == [
        "reason",
        "operator.operator_id",
        "operator.display_name",
        "operator.uscc",
    ]
    assert "secret" not in refusal.value.message


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 501, "a\0b"])
async def test_no_change_of_an_operator_without_a_reason_for_the_history(
    world: World, reason: str
) -> None:
    etag = (await world.create()).etag
    created = create_request("beta")
    created.reason = reason
    renamed = pb.UpdateOperatorRequest(operator=create_request("alpha").operator, reason=reason)
    renamed.operator.etag = etag
    service = world.service
    before = world.log.head()
    for call in (
        service.create_operator(created, CALLER),
        service.update_operator(renamed, CALLER),
        service.suspend_operator(
            pb.SuspendOperatorRequest(operator_id="alpha", reason=reason), CALLER
        ),
        service.reinstate_operator(
            pb.ReinstateOperatorRequest(operator_id="alpha", reason=reason), CALLER
        ),
        service.revoke_operator(
            pb.RevokeOperatorRequest(operator_id="alpha", reason=reason), CALLER
        ),
    ):
        with pytest.raises(Refused) as refusal:
            await call
        assert fields_of(refusal) == ["reason"]
    assert world.log.head() == before


async def test_longest_reason_is_kept_in_full(world: World) -> None:
    request = create_request("alpha")
    request.reason = "理" * 500
    await world.service.create_operator(request, CALLER)
    assert world.history("operator", "alpha")[0].reason == request.reason


async def test_class_of_an_operator_is_set_changed_and_taken_away(world: World) -> None:
    request = create_request("alpha")
    request.operator.operator_class = "bank"
    operator = (await world.service.create_operator(request, CALLER)).operator
    assert (await _get(world)).operator_class == "bank"
    for number, operator_class in enumerate(("public-body", ""), 1):
        operator.operator_class, operator.etag = operator_class, str(number)
        update = pb.UpdateOperatorRequest(operator=operator, reason=REASON)
        await world.service.update_operator(update, CALLER)
        assert (await _get(world)).operator_class == operator_class
    operator.operator_class, operator.etag = "No Class", "3"
    with pytest.raises(Refused) as refusal:
        await world.service.update_operator(
            pb.UpdateOperatorRequest(operator=operator, reason=REASON), CALLER
        )
    assert fields_of(refusal) == ["operator.operator_class"]


async def test_update_changes_name_and_code_and_nothing_else(world: World) -> None:
    await world.create()
    await world.suspend()
    world.clock.at = NOW + DAY
    changed = pb.Operator(
        operator_id="alpha",
        display_name="New name",
        uscc=company(7),
        state=OperatorState.OPERATOR_STATE_ACTIVE,
        etag="2",
    )
    request = pb.UpdateOperatorRequest(operator=changed, reason=REASON)
    answer = (await world.service.update_operator(request, CALLER)).operator
    assert (answer.display_name, answer.uscc) == ("New name", company(7))
    assert answer.state == OperatorState.OPERATOR_STATE_SUSPENDED
    assert (answer.etag, answer.update_time.seconds) == ("3", NOW + DAY)
    assert await _get(world) == answer


async def test_update_needs_the_etag_of_the_present_version(world: World) -> None:
    operator = await world.create()
    await world.suspend()
    request = pb.UpdateOperatorRequest(operator=operator, reason=REASON)
    with pytest.raises(Refused) as refusal:
        await world.service.update_operator(request, CALLER)
    assert reason_of(refusal) == "ETAG_MISMATCH"
    request.operator.etag = ""
    with pytest.raises(Refused) as refusal:
        await world.service.update_operator(request, CALLER)
    assert fields_of(refusal) == ["operator.etag"]
    request.operator.operator_id, request.operator.etag = "beta", "1"
    with pytest.raises(Refused) as refusal:
        await world.service.update_operator(request, CALLER)
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_operator_is_stopped_and_let_in_again_until_revoked_for_good(
    world: World,
) -> None:
    await world.create()
    assert (await world.suspend()).state == OperatorState.OPERATOR_STATE_SUSPENDED
    assert (await world.reinstate()).state == OperatorState.OPERATOR_STATE_ACTIVE
    await world.suspend()
    assert (await world.revoke()).state == OperatorState.OPERATOR_STATE_REVOKED
    before = world.log.head()
    for change, mend in (
        (world.suspend, "for good"),
        (world.reinstate, "for good"),
        (world.revoke, "already"),
    ):
        with pytest.raises(Refused, match=mend) as refusal:
            await change()
        assert reason_of(refusal) == "STATE_CONFLICT"
    assert world.log.head() == before


async def test_change_that_is_so_already_is_refused(world: World) -> None:
    await world.create()
    with pytest.raises(Refused, match="not suspended") as refusal:
        await world.reinstate()
    assert reason_of(refusal) == "STATE_CONFLICT"
    await world.suspend()
    with pytest.raises(Refused, match="already") as refusal:
        await world.suspend()
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_an_operator_that_is_suspended_for_findings_is_suspended_besides(
    world: World,
) -> None:
    await world.create()
    suspensions = Suspensions(world.log)
    present = suspensions.of("alpha")
    assert present is not None
    assert suspensions.suspend(present, NOW)
    joined = await world.suspend()
    assert joined.state == OperatorState.OPERATOR_STATE_SUSPENDED
    assert world.history("operator", "alpha")[-1].changed_by == CHIEF
    found = suspensions.of("alpha")
    assert found is not None
    assert not found.own
    with pytest.raises(Refused, match="already"):
        await world.suspend()


async def test_an_update_that_changes_nothing_writes_nothing(world: World) -> None:
    operator = await world.create()
    before = world.log.head()
    request = pb.UpdateOperatorRequest(operator=operator, reason=REASON)
    answer = (await world.service.update_operator(request, CALLER)).operator
    assert (answer, world.log.head()) == (operator, before)


async def test_unknown_operator_is_not_found(world: World) -> None:
    for call in (
        _get(world, "beta"),
        world.suspend("beta"),
        world.reinstate("beta"),
        world.revoke("beta"),
    ):
        with pytest.raises(Refused) as refusal:
            await call
        assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_change_acts_in_the_same_process_at_its_next_call(world: World) -> None:
    await world.create()
    await world.suspend()
    state = world.authority.operators["alpha"].state
    assert state == OperatorState.OPERATOR_STATE_SUSPENDED


async def test_pages_show_every_operator_once_by_id(world: World) -> None:
    ids = sorted(f"op-{number}" for number in range(11))
    for operator_id in reversed(ids):
        await world.create(operator_id)
    for page_size in (0, 1, 4, 11, 200):
        seen: list[str] = []
        token = ""
        while True:
            page = await world.service.list_operators(
                pb.ListOperatorsRequest(page_size=page_size, page_token=token), CALLER
            )
            assert len(page.operators) <= (page_size or 50)
            seen += [operator.operator_id for operator in page.operators]
            assert len(seen) <= len(ids)
            token = page.next_page_token
            if not token:
                break
        assert seen == ids


async def test_what_no_store_can_hold_is_the_id_of_no_operator(stored_world: World) -> None:
    with pytest.raises(Refused) as refusal:
        await stored_world.suspend("a\0b")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_page_goes_on_where_it_ended_whatever_was_added(world: World) -> None:
    for operator_id in ("beta", "delta", "gamma"):
        await world.create(operator_id)
    first = await world.service.list_operators(pb.ListOperatorsRequest(page_size=2), CALLER)
    await world.create("alpha")
    await world.create("epsilon")
    rest = await world.service.list_operators(
        pb.ListOperatorsRequest(page_token=first.next_page_token), CALLER
    )
    assert [operator.operator_id for operator in rest.operators] == ["epsilon", "gamma"]


async def test_page_that_cannot_be_is_refused_by_its_field(world: World) -> None:
    for asked, field in (
        (pb.ListOperatorsRequest(page_size=-1), "page_size"),
        (pb.ListOperatorsRequest(page_size=201), "page_size"),
        (pb.ListOperatorsRequest(page_token="授权"), "page_token"),
        (pb.ListOperatorsRequest(page_token="YWxwaGE="), "page_token"),
    ):
        with pytest.raises(Refused) as refusal:
            await world.service.list_operators(asked, CALLER)
        assert fields_of(refusal) == [field]
