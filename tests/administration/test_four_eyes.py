"""Four-eyes: under a guarded policy nothing is widened by one person alone (双人复核)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from creditgate.refusal import Refused, reason_name
from creditgate.scopes import services
from creditgate.v1 import administrator_service_pb2 as administrators_pb
from creditgate.v1 import catalogue_service_pb2 as catalogue_pb
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from gateway.administration.administrators import AdministratorService
from gateway.administration.approvable import APPROVABLE
from gateway.administration.catalogue_items import CatalogueItems
from gateway.authenticate.caller import Caller
from gateway.catalogue.message import item_message
from operators.administrators import ADMINISTRATOR, Administrator
from operators.log import Draft
from operators.model import SCOPE_GRANT
from operators.proposal import LIFE_SECONDS
from tests.administration.office import (
    BIDDING,
    CONSOLE,
    NAME,
    acting,
    approve,
    change,
    define,
    definition,
    furnish_office,
    grants,
    machine,
    person,
    reject,
    set_policy,
    state_of,
)
from tests.administration.world import (
    CHIEF,
    DAY,
    NOW,
    REASON,
    World,
    client,
    create_request,
    fields_of,
    grant,
    jwks,
    licence,
    reason_of,
    thumbprint,
)
from tests.catalogue.drafts import national


@pytest.fixture
async def guarded(world: World) -> World:
    """People, operators alpha and beta, alpha with a licence, and then a guarded policy."""
    return await _guard(world)


@pytest.fixture
async def stored_guarded(stored_world: World) -> World:
    """As `guarded`; the test runs on both stores."""
    return await _guard(stored_world)


async def _guard(world: World) -> World:
    furnish_office(world.log)
    await world.feed.refresh()
    for operator_id in ("alpha", "beta"):
        await world.create(operator_id)
    await world.issue()
    await world.register("alpha-one", "OPERATOR", "alpha")
    await define(world, definition())
    await world.suspend("beta")
    assert (await set_policy(world, guarded=True)).policy.guarded
    return world


async def _proposed(world: World, caller: Caller | None = None, **fields: Any) -> str:
    """Propose a grant to alpha and return the proposal's id."""
    answer = await grants(world, grant(**fields), caller=caller)
    assert not answer.grants
    return answer.proposal_id


async def test_a_grant_is_proposed_and_made_by_its_approval(stored_guarded: World) -> None:
    proposal_id = await _proposed(stored_guarded, items=["penalty"])
    assert not stored_guarded.authority.grants_of.get("alpha")
    assert await state_of(stored_guarded, proposal_id) == "PENDING"
    answer = await approve(stored_guarded, proposal_id)
    assert answer.proposal.state == scopes_pb.ProposalState.PROPOSAL_STATE_APPROVED
    assert answer.proposal.proposed_by == "administrator:ann"
    assert answer.proposal.decided_by == "administrator:bob"
    (made,) = stored_guarded.authority.grants_of["alpha"]
    assert [(each.kind, each.id) for each in answer.changes] == [("scope_grant", made.grant_id)]
    assert made.items == {"penalty"}


async def test_approval_and_change_are_one_entry_that_tells_both_people(guarded: World) -> None:
    proposal_id = await _proposed(guarded)
    before = guarded.log.head()
    await approve(guarded, proposal_id)
    decision, made = guarded.log.since(before)
    assert (decision.kind, made.kind) == ("proposal", "scope_grant")
    assert decision.document["proposed_by"] == "administrator:ann"
    assert decision.document["reason"] == REASON
    assert decision.document["decision_reason"] == "seen and right"
    for entry in (decision, made):
        assert entry.changed_by == "administrator:bob"
        assert proposal_id in entry.reason


Widening = Callable[[World], Coroutine[Any, Any, Any]]


async def _issue(world: World) -> Any:
    request = pb.IssueLicenceRequest(licence=licence("L-2"), reason=REASON)
    return await world.service.issue_licence(request, acting("ann"))


async def _reinstate(world: World) -> Any:
    request = pb.ReinstateOperatorRequest(operator_id="beta", reason=REASON)
    return await world.service.reinstate_operator(request, acting("ann"))


async def _register(world: World) -> Any:
    asked = client("alpha-two", "OPERATOR", "alpha")
    request = pb.RegisterClientRequest(client=asked, reason=REASON)
    return await world.service.register_client(request, acting("ann"))


async def _rotate(world: World) -> Any:
    request = pb.RotateClientKeysRequest(
        client_id="alpha-one",
        jwks=jwks("next"),
        certificate_thumbprints=[thumbprint("alpha-one")],
        etag="1",
        reason=REASON,
    )
    return await world.service.rotate_client_keys(request, acting("ann"))


async def _widen_definition(world: World) -> Any:
    return await change(world, definition(items=["penalty", "tax"], etag="1"))


async def _open_policy(world: World) -> Any:
    return await set_policy(world, guarded=False)


async def _register_person(world: World) -> Any:
    request = administrators_pb.RegisterAdministratorRequest(
        administrator=administrators_pb.Administrator(
            administrator_id="eve",
            display_name="Eve",
            issuer="https://people.example",
            subject="eve",
            roles=[AdministratorRole.ADMINISTRATOR_ROLE_SECURITY],
        ),
        reason=REASON,
    )
    return await _people(world).register_administrator(request, acting("ann"))


async def _assign_roles(world: World) -> Any:
    request = administrators_pb.SetAdministratorRolesRequest(
        administrator_id="dan",
        roles=[AdministratorRole.ADMINISTRATOR_ROLE_LICENSING],
        etag="1",
        reason=REASON,
    )
    return await _people(world).set_administrator_roles(request, acting("ann"))


async def _create_item(world: World) -> Any:
    item = item_message(national()["penalty.administrative"])
    request = catalogue_pb.CreateCatalogueItemRequest(item=item, reason=REASON)
    return await _items(world).create_catalogue_item(request, acting("ann"))


async def _open_item(world: World) -> Any:
    proposed = await _create_item(world)
    await approve(world, proposed.proposal_id)
    item = item_message(world.feed.current().catalogue["penalty.administrative"])
    item.sources.append("另一局")
    request = catalogue_pb.UpdateCatalogueItemRequest(item=item, reason=REASON)
    return await _items(world).update_catalogue_item(request, acting("ann"))


def _items(world: World) -> CatalogueItems:
    return CatalogueItems(world.log, world.feed, world.clock)


def _people(world: World) -> AdministratorService:
    return AdministratorService(world.log, world.feed, world.clock)


WIDENINGS: tuple[Widening, ...] = (
    grants,
    _issue,
    _reinstate,
    _register,
    _rotate,
    _widen_definition,
    _open_policy,
    _register_person,
    _assign_roles,
    _create_item,
    _open_item,
)


@pytest.mark.parametrize("widen", WIDENINGS, ids=lambda widen: widen.__name__.lstrip("_"))
async def test_whatever_widens_waits_for_a_second_person(guarded: World, widen: Widening) -> None:
    proposal_id = (await widen(guarded)).proposal_id
    before = guarded.log.head() - 1
    (proposed,) = guarded.log.since(before)
    assert (proposed.kind, proposed.id) == ("proposal", proposal_id)
    answer = await approve(guarded, proposal_id)
    assert answer.changes
    assert guarded.log.head() == before + 2 + len(answer.changes)
    assert await state_of(guarded, proposal_id) == "APPROVED"


def test_every_method_that_may_answer_with_a_proposal_can_be_approved() -> None:
    proposing = {
        method.name
        for service in services()
        for method in service.methods
        if "proposal_id" in method.output_type.fields_by_name
    }
    assert proposing == APPROVABLE.keys()


async def test_whatever_narrows_takes_one_person(guarded: World) -> None:
    service, ann = guarded.service, acting("ann")
    granted = await _proposed(guarded)
    made = (await approve(guarded, granted)).changes[0].id
    before = guarded.log.head()
    await service.withdraw_scopes(pb.WithdrawScopesRequest(grant_ids=[made], reason=REASON), ann)
    await change(guarded, definition(regions=["11"], etag="1"))
    await service.rotate_client_keys(
        pb.RotateClientKeysRequest(
            client_id="alpha-one",
            jwks=jwks(),
            certificate_thumbprints=[thumbprint("alpha-one")],
            etag="1",
            reason=REASON,
        ),
        ann,
    )
    await service.revoke_licence(pb.RevokeLicenceRequest(number="L-1", reason=REASON), ann)
    await service.remove_client(pb.RemoveClientRequest(client_id="alpha-one", reason=REASON), ann)
    await service.suspend_operator(
        pb.SuspendOperatorRequest(operator_id="alpha", reason=REASON), ann
    )
    await service.revoke_operator(pb.RevokeOperatorRequest(operator_id="beta", reason=REASON), ann)
    await service.create_operator(create_request("gamma"), ann)
    await define(guarded, definition("credit.more:read"))
    assert guarded.log.head() == before + 9
    assert not any(each.kind == "proposal" for each in guarded.log.since(before))


async def test_a_catalogue_item_changed_meanwhile_is_not_opened_by_an_older_proposal(
    guarded: World,
) -> None:
    proposal_id = (await _open_item(guarded)).proposal_id
    narrower = item_message(guarded.feed.current().catalogue["penalty.administrative"])
    del narrower.sources[-1]
    request = catalogue_pb.UpdateCatalogueItemRequest(item=narrower, reason=REASON)
    assert not (await _items(guarded).update_catalogue_item(request, acting("ann"))).proposal_id
    with pytest.raises(Refused) as refusal:
        await approve(guarded, proposal_id)
    assert reason_of(refusal) == "ETAG_MISMATCH"


async def test_nobody_alone_gives_an_item_another_name_or_a_longer_least_period(
    guarded: World,
) -> None:
    await approve(guarded, (await _create_item(guarded)).proposal_id)
    present = item_message(guarded.feed.current().catalogue["penalty.administrative"])
    renamed, longer = present.__class__(), present.__class__()
    renamed.CopyFrom(present)
    renamed.name_zh = "严重失信主体名单"
    longer.CopyFrom(present)
    for rule in longer.period_rules:
        rule.min_months = rule.max_months
    for item in (renamed, longer):
        request = catalogue_pb.UpdateCatalogueItemRequest(item=item, reason=REASON)
        assert (await _items(guarded).update_catalogue_item(request, acting("ann"))).proposal_id
    assert item_message(guarded.feed.current().catalogue["penalty.administrative"]) == present


async def test_nobody_approves_their_own_proposal_through_whichever_client(
    guarded: World,
) -> None:
    for proposer, same in (
        (acting("ann"), acting("ann")),
        (acting("ann"), acting("ann", client=CHIEF)),
        (acting("ann"), machine(CONSOLE)),
        (machine(CHIEF), machine(CHIEF)),
        (machine(CHIEF), acting("bob", client=CHIEF)),
    ):
        proposal_id = await _proposed(guarded, proposer)
        with pytest.raises(Refused, match="another person") as refusal:
            await approve(guarded, proposal_id, same)
        assert reason_of(refusal) == "STATE_CONFLICT"
        await reject(guarded, proposal_id, proposer)
    assert not guarded.authority.grants_of.get("alpha")


async def test_approver_could_have_made_the_change(guarded: World) -> None:
    proposal_id = await _proposed(guarded)
    weak = acting("bob")._replace(acr="urn:creditgate:acr:basic")
    stale = acting("bob", at=NOW - 301)
    poor = acting("bob")._replace(token_scopes=frozenset({"proposals:approve"}))
    for caller, reason in (
        (weak, "STEP_UP_REQUIRED"),
        (stale, "STEP_UP_REQUIRED"),
        (machine(CHIEF), "STEP_UP_REQUIRED"),
        (poor, "SCOPE_NOT_GRANTED"),
        (acting("dan"), "SCOPE_NOT_GRANTED"),
        (acting("eve"), "ADMINISTRATOR_NOT_ACTIVE"),
    ):
        with pytest.raises(Refused) as refusal:
            await approve(guarded, proposal_id, caller)
        assert reason_of(refusal) == reason
    await approve(guarded, proposal_id, acting("cat"))


async def test_approval_needs_a_proposer_who_could_still_propose(guarded: World) -> None:
    removed = await _proposed(guarded, acting("cat"), scope="usage:read")
    person_gone = person("cat").model_copy(update={"removed_at": NOW})
    guarded.log.append(
        [Draft(ADMINISTRATOR, "cat", 1, person_gone.as_document())],
        changed_by="administrator:ann",
        changed_at=NOW,
        reason="left",
    )
    through = await _proposed(guarded, machine(CHIEF))
    (key,) = [
        found.grant_id
        for found in guarded.authority.grants_of[CHIEF]
        if found.scope == "scopes:grant"
    ]
    request = pb.WithdrawScopesRequest(grant_ids=[key], reason=REASON)
    await guarded.service.withdraw_scopes(request, acting("ann"))
    for proposal_id in (removed, through):
        with pytest.raises(Refused, match="may no longer") as refusal:
            await approve(guarded, proposal_id)
        assert reason_of(refusal) == "STATE_CONFLICT"


async def test_approval_is_judged_on_the_licence_as_it_is_then(guarded: World) -> None:
    proposal_id = await _proposed(guarded, items=["tax"])
    await guarded.end_licence("L-1")
    with pytest.raises(Refused, match="no licence") as refusal:
        await approve(guarded, proposal_id)
    assert reason_of(refusal) == "STATE_CONFLICT"
    assert await state_of(guarded, proposal_id) == "PENDING"
    other = (await _issue_narrow(guarded)).proposal_id
    await approve(guarded, other)
    with pytest.raises(Refused) as refusal:
        await approve(guarded, proposal_id)
    assert fields_of(refusal) == ["grants[0].items"]


async def _issue_narrow(world: World) -> Any:
    asked = licence("L-3", items=["penalty"])
    request = pb.IssueLicenceRequest(licence=asked, reason=REASON)
    return await world.service.issue_licence(request, acting("ann"))


async def test_a_proposal_is_superseded_by_a_change_of_what_it_rests_on(guarded: World) -> None:
    narrow_grant = await _proposed(guarded, scope=NAME)
    wider = (await _widen_definition(guarded)).proposal_id
    rotation = (await _rotate(guarded)).proposal_id
    await change(guarded, definition(regions=["11"], etag="1"))
    await guarded.remove("alpha-one")
    for proposal_id in (narrow_grant, wider, rotation):
        assert await state_of(guarded, proposal_id) == "SUPERSEDED"
        with pytest.raises(Refused, match="propose anew") as refusal:
            await approve(guarded, proposal_id)
        assert reason_of(refusal) == "STATE_CONFLICT"


async def test_a_proposal_expires_after_a_week(guarded: World) -> None:
    first = await _proposed(guarded)
    guarded.clock.at = NOW + LIFE_SECONDS - 1
    assert await state_of(guarded, first) == "PENDING"
    guarded.clock.at = NOW + LIFE_SECONDS
    assert await state_of(guarded, first) == "EXPIRED"
    for call in (approve(guarded, first), reject(guarded, first)):
        with pytest.raises(Refused, match="expired") as refusal:
            await call
        assert reason_of(refusal) == "STATE_CONFLICT"
    assert await _proposed(guarded) != first


async def test_a_rejected_proposal_changes_nothing_for_good(guarded: World) -> None:
    proposal_id = await _proposed(guarded)
    rejected = await reject(guarded, proposal_id)
    assert rejected.state == scopes_pb.ProposalState.PROPOSAL_STATE_REJECTED
    assert (rejected.decided_by, rejected.decision_reason) == ("administrator:bob", "not needed")
    for call in (approve(guarded, proposal_id), reject(guarded, proposal_id)):
        with pytest.raises(Refused, match="rejected"):
            await call
    assert not guarded.authority.grants_of.get("alpha")


async def test_who_proposed_may_take_it_back(guarded: World) -> None:
    proposal_id = await _proposed(guarded)
    await reject(guarded, proposal_id, acting("ann"))
    assert await state_of(guarded, proposal_id) == "REJECTED"


async def test_the_same_is_proposed_once_by_one_person(guarded: World) -> None:
    proposal_id = await _proposed(guarded)
    with pytest.raises(Refused, match=proposal_id) as refusal:
        await _proposed(guarded)
    assert reason_of(refusal) == "RESOURCE_EXISTS"
    await _proposed(guarded, acting("bob"))
    await _proposed(guarded, items=["tax"])


async def test_validating_proposes_nothing_and_tells_what_is_proposed_already(
    guarded: World,
) -> None:
    item = item_message(national()["penalty.administrative"])
    request = catalogue_pb.CreateCatalogueItemRequest(item=item, reason=REASON, validate_only=True)
    for _ in range(2):
        answer = await _items(guarded).create_catalogue_item(request, acting("ann"))
        assert answer == catalogue_pb.CreateCatalogueItemResponse()
    proposed = await _create_item(guarded)
    with pytest.raises(Refused, match=proposed.proposal_id) as refusal:
        await _items(guarded).create_catalogue_item(request, acting("ann"))
    assert reason_of(refusal) == "RESOURCE_EXISTS"


async def test_approvals_at_once_apply_once(stored_guarded: World) -> None:
    async with World(stored_guarded.log, stored_guarded.clock) as other:
        for round_ in range(4):
            proposal_id = await _proposed(stored_guarded, until=NOW + DAY + round_)
            before = stored_guarded.log.head()
            answers = await asyncio.gather(
                approve(stored_guarded, proposal_id, acting("bob")),
                approve(other, proposal_id, acting("cat")),
                approve(stored_guarded, proposal_id, acting("cat")),
                return_exceptions=True,
            )
            refused = [answer for answer in answers if isinstance(answer, Refused)]
            assert [reason_name(each.reason) for each in refused] == ["STATE_CONFLICT"] * 2
            assert stored_guarded.log.head() == before + 2
    await stored_guarded.feed.refresh()
    assert len(stored_guarded.authority.grants_of["alpha"]) == 4


async def test_policy_is_guarded_only_where_two_people_can_change_it_again(
    world: World,
) -> None:
    with pytest.raises(Refused, match="two administrators") as refusal:
        await set_policy(world, guarded=True, caller=machine(CHIEF))
    assert reason_of(refusal) == "STATE_CONFLICT"
    furnish_office(world.log, ["ann", "cat", "dan"])
    await world.feed.refresh()
    with pytest.raises(Refused, match="two administrators"):
        await set_policy(world, guarded=True)
    world.log.append(
        [Draft(ADMINISTRATOR, "bob", 0, person("bob").as_document())],
        changed_by="installation",
        changed_at=NOW,
        reason="set-up",
    )
    await set_policy(world, guarded=True)
    assert world.authority.policy.guarded


async def test_a_guarded_policy_stays_changeable(guarded: World) -> None:
    people = _people(guarded)
    remove = administrators_pb.RemoveAdministratorRequest(administrator_id="bob", reason=REASON)
    with pytest.raises(Refused, match="two administrators") as refusal:
        await people.remove_administrator(remove, acting("ann"))
    assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused, match="authorization_code"):
        await guarded.service.remove_client(
            pb.RemoveClientRequest(client_id=CONSOLE, reason=REASON), acting("ann")
        )
    (key,) = [
        found.grant_id
        for found in guarded.authority.grants_of[CONSOLE]
        if found.scope == "proposals:approve"
    ]
    with pytest.raises(Refused, match="authorization_code"):
        await guarded.service.withdraw_scopes(
            pb.WithdrawScopesRequest(grant_ids=[key], reason=REASON), acting("ann")
        )
    remove.administrator_id = "cat"
    await people.remove_administrator(remove, acting("ann"))


async def test_what_is_missing_already_holds_up_nothing_else(guarded: World) -> None:
    gone = [
        Draft(ADMINISTRATOR, name, 1, {**person(name).as_document(), "removed_at": NOW})
        for name in ("ann", "bob")
    ]
    guarded.log.append(
        [gone[0], Draft(ADMINISTRATOR, "eve", 0, _warden("eve").as_document())],
        changed_by="installation",
        changed_at=NOW,
        reason="two are left",
    )
    guarded.log.append(gone[1:], changed_by="installation", changed_at=NOW, reason="one is left")
    await guarded.feed.refresh()
    service, eve, console = guarded.service, acting("eve"), machine(CONSOLE)
    await service.suspend_operator(
        pb.SuspendOperatorRequest(operator_id="alpha", reason=REASON), eve
    )
    await service.revoke_licence(pb.RevokeLicenceRequest(number="L-1", reason=REASON), eve)
    held = {found.scope: found.grant_id for found in guarded.authority.grants_of[CONSOLE]}

    async def withdraw(scope: str) -> None:
        asked = pb.WithdrawScopesRequest(grant_ids=[held[scope]], reason=REASON)
        await service.withdraw_scopes(asked, console)

    await withdraw("usage:read")
    with pytest.raises(Refused, match="authorization_code"):
        await withdraw("policy:set")
    remove = administrators_pb.RemoveAdministratorRequest(administrator_id="eve", reason=REASON)
    with pytest.raises(Refused, match="two administrators"):
        await _people(guarded).remove_administrator(remove, console)
    guarded.log.append(
        [
            Draft(
                SCOPE_GRANT,
                found.grant_id,
                found.version,
                {**found.as_document(), "withdrawn_at": NOW},
            )
            for found in guarded.authority.grants_of[CONSOLE]
            if found.scope == "policy:set"
        ],
        changed_by="installation",
        changed_at=NOW,
        reason="no way in is left",
    )
    await guarded.feed.refresh()
    await withdraw("proposals:approve")
    await service.revoke_operator(pb.RevokeOperatorRequest(operator_id="alpha", reason=REASON), eve)


def _warden(name: str) -> Administrator:
    return person("bob").model_copy(update={"administrator_id": name, "subject": name})


async def test_policy_is_set_by_the_etag_that_was_read(guarded: World) -> None:
    request = scopes_pb.GetAdministrationPolicyRequest()
    found = (await guarded.scopes.get_administration_policy(request, acting("dan"))).policy
    assert (found.guarded, found.etag) == (True, "1")
    with pytest.raises(Refused, match="so already") as refusal:
        await set_policy(guarded, guarded=True)
    assert reason_of(refusal) == "STATE_CONFLICT"
    for etag, fault in (("2", "ETAG_MISMATCH"), ("", "INVALID_REQUEST")):
        policy = scopes_pb.AdministrationPolicy(guarded=False, etag=etag)
        asked = scopes_pb.SetAdministrationPolicyRequest(policy=policy, reason=REASON)
        with pytest.raises(Refused) as refusal:
            await guarded.scopes.set_administration_policy(asked, acting("ann"))
        assert reason_of(refusal) == fault
    await approve(guarded, (await _open_policy(guarded)).proposal_id)
    assert (await grants(guarded, grant())).grants


async def test_what_was_proposed_is_still_approved_by_a_second_person_when_open(
    guarded: World,
) -> None:
    proposal_id = await _proposed(guarded, purposes=[BIDDING])
    await approve(guarded, (await _open_policy(guarded)).proposal_id)
    with pytest.raises(Refused, match="another person"):
        await approve(guarded, proposal_id, acting("ann"))
    await approve(guarded, proposal_id)


async def test_proposals_are_listed_by_state_oldest_first(guarded: World) -> None:
    ids: list[str] = []
    for day in range(3):
        guarded.clock.at = NOW + day * DAY
        ids.append(await _proposed(guarded, acting("ann"), until=NOW + (9 + day) * DAY))
    await approve(guarded, ids[1])
    states = scopes_pb.ProposalState
    for state, wanted in (
        (states.PROPOSAL_STATE_UNSPECIFIED, ids),
        (states.PROPOSAL_STATE_PENDING, [ids[0], ids[2]]),
        (states.PROPOSAL_STATE_APPROVED, [ids[1]]),
        (states.PROPOSAL_STATE_EXPIRED, []),
    ):
        listed: list[str] = []
        request = scopes_pb.ListProposalsRequest(state=state, page_size=1)
        while True:
            page = await guarded.scopes.list_proposals(request, acting("dan"))
            listed += [found.proposal_id for found in page.proposals]
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        assert listed == wanted
    unknown = scopes_pb.ListProposalsRequest(state=99)  # type: ignore[arg-type]
    with pytest.raises(Refused) as refusal:
        await guarded.scopes.list_proposals(unknown, acting("dan"))
    assert fields_of(refusal) == ["state"]
    for call in (approve(guarded, "unknown"), reject(guarded, "unknown"), state_of(guarded, "un")):
        with pytest.raises(Refused) as refusal:
            await call
        assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_approval_and_rejection_say_why(guarded: World) -> None:
    proposal_id = await _proposed(guarded)
    with pytest.raises(Refused) as refusal:
        await guarded.scopes.approve_proposal(
            scopes_pb.ApproveProposalRequest(proposal_id=proposal_id), acting("bob")
        )
    assert fields_of(refusal) == ["reason"]
    with pytest.raises(Refused) as refusal:
        await guarded.scopes.reject_proposal(
            scopes_pb.RejectProposalRequest(proposal_id=proposal_id), acting("bob")
        )
    assert fields_of(refusal) == ["reason"]
