"""Administrators are registered, given roles and removed; nobody widens their own."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import administrator_service_pb2 as pb
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from gateway.administration.administrators import AdministratorService
from gateway.administration.scope_service import ScopeService
from gateway.authenticate.caller import Caller
from operators.administration_policy import (
    ADMINISTRATION_POLICY,
    POLICY_ID,
    AdministrationPolicy,
)
from operators.administrators import ADMINISTRATOR, STRONG_ACR, scopes_of_administrator_role
from operators.log import Draft
from operators.model import CLIENT, SCOPE_GRANT
from tests.administration.office import furnish_office
from tests.administration.world import (
    CALLER,
    CHIEF,
    REASON,
    World,
    client,
    fields_of,
    grant,
    reason_of,
)
from tests.clock import NOW

LICENSING = AdministratorRole.ADMINISTRATOR_ROLE_LICENSING
PRICING = AdministratorRole.ADMINISTRATOR_ROLE_PRICING
SECURITY = AdministratorRole.ADMINISTRATOR_ROLE_SECURITY
AUDIT = AdministratorRole.ADMINISTRATOR_ROLE_AUDIT
Roles = Iterable[AdministratorRole.ValueType]


@dataclass
class Office:
    """AdministratorService beside the other services of one process."""

    world: World

    def __post_init__(self) -> None:
        self.service = AdministratorService(self.world.log, self.world.feed, self.world.clock)
        self.scopes = ScopeService(self.world.log, self.world.feed, self.world.clock)

    async def register(
        self, administrator_id: str, roles: Roles, caller: Caller = CALLER, **fields: str
    ) -> pb.RegisterAdministratorResponse:
        """Register a person."""
        request = pb.RegisterAdministratorRequest(
            administrator=person(administrator_id, roles, **fields), reason=REASON
        )
        return await self.service.register_administrator(request, caller)

    async def assign(
        self, administrator_id: str, roles: Roles, etag: str = "1", caller: Caller = CALLER
    ) -> pb.SetAdministratorRolesResponse:
        """Give a person roles."""
        request = pb.SetAdministratorRolesRequest(
            administrator_id=administrator_id, roles=roles, etag=etag, reason=REASON
        )
        return await self.service.set_administrator_roles(request, caller)

    async def remove(self, administrator_id: str, caller: Caller = CALLER) -> pb.Administrator:
        """Remove a person."""
        request = pb.RemoveAdministratorRequest(administrator_id=administrator_id, reason=REASON)
        return (await self.service.remove_administrator(request, caller)).administrator

    async def guard(self) -> None:
        """Put the guarded policy into force, and a client that people sign in through."""
        furnish_office(self.world.log, people=())
        policy = AdministrationPolicy(guarded=True)
        self.world.log.append(
            [Draft(ADMINISTRATION_POLICY, POLICY_ID, 0, policy.as_document())],
            changed_by="test",
            changed_at=NOW,
            reason="test",
        )
        await self.world.feed.refresh()


@pytest.fixture
def office(world: World) -> Office:
    """The services of one process, on SQLite."""
    return Office(world)


@pytest.fixture
def stored_office(stored_world: World) -> Office:
    """The services of one process; the test runs on both stores."""
    return Office(stored_world)


def person(administrator_id: str, roles: Roles, **fields: str) -> pb.Administrator:
    """Return a good person."""
    made = pb.Administrator(
        administrator_id=administrator_id,
        display_name=f"{administrator_id} (invented)",
        issuer="https://idp.test",
        subject=administrator_id,
        roles=roles,
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def acting(administrator_id: str, *roles: AdministratorRole.ValueType) -> Caller:
    """Return a person who acts through the chief client."""
    scopes = frozenset[str]().union(*map(scopes_of_administrator_role, roles))
    return CALLER._replace(
        principal=f"administrator:{administrator_id}",
        token_scopes=scopes,
        auth_time=NOW,
        acr=STRONG_ACR,
    )


async def test_a_person_is_registered_listed_changed_and_removed(stored_office: Office) -> None:
    office = stored_office
    made = (await office.register("ada", [AUDIT, LICENSING])).administrator
    assert (made.etag, list(made.roles)) == ("1", [LICENSING, AUDIT])
    changed = (await office.assign("ada", [PRICING])).administrator
    assert (changed.etag, list(changed.roles)) == ("2", [PRICING])
    await office.register("bob", [SECURITY])
    removed = await office.remove("ada")
    assert removed.remove_time.seconds == NOW
    listed = await office.service.list_administrators(pb.ListAdministratorsRequest(), CALLER)
    assert [each.administrator_id for each in listed.administrators] == ["ada", "bob"]
    assert listed.administrators[0] == removed
    history = office.world.history(ADMINISTRATOR, "ada")
    assert [(change.version, change.changed_by, change.reason) for change in history] == [
        (number, CHIEF, REASON) for number in (1, 2, 3)
    ]


async def test_pages_of_people_follow_each_other(office: Office) -> None:
    for name in ("ada", "bob", "cid"):
        await office.register(name, [AUDIT])
    request = pb.ListAdministratorsRequest(page_size=2)
    first = await office.service.list_administrators(request, CALLER)
    request.page_token = first.next_page_token
    second = await office.service.list_administrators(request, CALLER)
    ids = [each.administrator_id for page in (first, second) for each in page.administrators]
    assert ids == ["ada", "bob", "cid"]
    assert second.next_page_token == ""


async def test_the_history_names_the_person_not_the_client(office: Office) -> None:
    await office.register("ada", [SECURITY])
    await office.register("bob", [AUDIT], acting("ada", SECURITY))
    (change,) = office.world.history(ADMINISTRATOR, "bob")
    assert change.changed_by == "administrator:ada"


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"administrator_id": "A"}, "administrator.administrator_id"),
        ({"display_name": ""}, "administrator.display_name"),
        ({"issuer": "http://idp.test"}, "administrator.issuer"),
        ({"subject": "a b"}, "administrator.subject"),
    ],
)
async def test_a_malformed_person_is_refused_by_field(
    office: Office, fields: dict[str, str], at: str
) -> None:
    with pytest.raises(Refused) as refusal:
        await office.register(fields.pop("administrator_id", "ada"), [AUDIT], CALLER, **fields)
    assert fields_of(refusal) == [at]


@pytest.mark.parametrize(
    ("roles", "at"), [([], "administrator.roles"), ([0], "administrator.roles[0]")]
)
async def test_a_person_has_at_least_one_role_and_known_ones(
    office: Office, roles: list[AdministratorRole.ValueType], at: str
) -> None:
    with pytest.raises(Refused) as refusal:
        await office.register("ada", roles)
    assert fields_of(refusal) == [at]


async def test_every_change_needs_its_reason_and_new_roles_their_etag(office: Office) -> None:
    await office.register("ada", [AUDIT])
    requests = (
        office.service.register_administrator(
            pb.RegisterAdministratorRequest(administrator=person("bob", [AUDIT])), CALLER
        ),
        office.service.set_administrator_roles(
            pb.SetAdministratorRolesRequest(administrator_id="ada", roles=[AUDIT], etag="1"), CALLER
        ),
        office.service.remove_administrator(
            pb.RemoveAdministratorRequest(administrator_id="ada"), CALLER
        ),
    )
    for request in requests:
        with pytest.raises(Refused) as refusal:
            await request
        assert fields_of(refusal) == ["reason"]
    with pytest.raises(Refused) as refusal:
        await office.assign("ada", [], etag="")
    assert fields_of(refusal) == ["etag", "roles"]


async def test_an_id_is_never_used_again_and_a_person_registered_once(office: Office) -> None:
    await office.register("ada", [AUDIT])
    for administrator_id, subject in (("ada", "other"), ("bob", "ada")):
        with pytest.raises(Refused) as refusal:
            await office.register(administrator_id, [AUDIT], subject=subject)
        assert reason_of(refusal) == "RESOURCE_EXISTS"
    await office.register("bob", [AUDIT], subject="ada", issuer="https://other.test")
    await office.remove("ada")
    with pytest.raises(Refused) as refusal:
        await office.register("ada", [AUDIT])
    assert reason_of(refusal) == "RESOURCE_EXISTS"
    await office.register("ada-again", [AUDIT], subject="ada")


async def test_what_is_not_there_or_gone_or_changed_is_told_apart(office: Office) -> None:
    await office.register("ada", [AUDIT])
    for make, expected in (
        (lambda: office.assign("bob", [AUDIT]), "RESOURCE_NOT_FOUND"),
        (lambda: office.remove("bob"), "RESOURCE_NOT_FOUND"),
        (lambda: office.assign("ada", [AUDIT], etag="7"), "ETAG_MISMATCH"),
    ):
        with pytest.raises(Refused) as refusal:
            await make()
        assert reason_of(refusal) == expected
    await office.remove("ada")
    for make in (lambda: office.assign("ada", [AUDIT], etag="2"), lambda: office.remove("ada")):
        with pytest.raises(Refused) as refusal:
            await make()
        assert reason_of(refusal) == "STATE_CONFLICT"


async def test_nobody_adds_to_their_own_roles_but_may_give_some_up(office: Office) -> None:
    await office.register("ada", [SECURITY, AUDIT])
    ada = acting("ada", SECURITY, AUDIT)
    for roles in ([SECURITY, AUDIT, PRICING], [LICENSING]):
        with pytest.raises(Refused, match="Nobody adds roles to their own") as refusal:
            await office.assign("ada", roles, caller=ada)
        assert reason_of(refusal) == "STATE_CONFLICT"
    changed = await office.assign("ada", [SECURITY], caller=ada)
    assert list(changed.administrator.roles) == [SECURITY]
    await office.register("bob", [SECURITY])
    given = await office.assign("ada", [SECURITY, PRICING], "2", acting("bob", SECURITY))
    assert list(given.administrator.roles) == [PRICING, SECURITY]


async def test_nobody_approves_the_widening_of_their_own_roles(office: Office) -> None:
    for name in ("ada", "bob", "cid"):
        await office.register(name, [SECURITY])
    await office.guard()
    proposed = await office.assign("ada", [SECURITY, PRICING], caller=acting("bob", SECURITY))
    assert proposed.proposal_id
    assert not proposed.HasField("administrator")
    request = scopes_pb.ApproveProposalRequest(proposal_id=proposed.proposal_id, reason=REASON)
    with pytest.raises(Refused, match="Nobody adds roles to their own"):
        await office.scopes.approve_proposal(request, acting("ada", SECURITY))
    await office.scopes.approve_proposal(request, acting("cid", SECURITY))
    assert office.world.authority.administrators["ada"].roles == {SECURITY, PRICING}


async def test_under_a_guarded_policy_a_new_administrator_takes_two_people(office: Office) -> None:
    for name in ("ada", "bob"):
        await office.register(name, [SECURITY])
    await office.guard()
    proposed = await office.register("cid", [AUDIT], acting("ada", SECURITY))
    assert proposed.proposal_id
    assert "cid" not in office.world.authority.administrators
    request = scopes_pb.ApproveProposalRequest(proposal_id=proposed.proposal_id, reason=REASON)
    with pytest.raises(Refused, match="own proposal"):
        await office.scopes.approve_proposal(request, acting("ada", SECURITY))
    await office.scopes.approve_proposal(request, acting("bob", SECURITY))
    assert office.world.authority.administrators["cid"].roles == {AUDIT}


async def test_through_a_client_nobody_gets_what_their_roles_do_not_have(office: Office) -> None:
    world = office.world
    await office.register("ada", [LICENSING])
    await office.register("sam", [SECURITY])
    await world.register("desk", "ADMINISTRATOR")
    ada, sam = acting("ada", LICENSING), acting("sam", SECURITY)
    registered = operators_pb.RegisterClientRequest(
        client=client("back-door", "ADMINISTRATOR"), reason=REASON
    )
    wide = operators_pb.GrantScopesRequest(grants=[grant("desk", "prices:create")], reason=REASON)
    own = operators_pb.GrantScopesRequest(grants=[grant("desk", "operators:read")], reason=REASON)
    for refused in (
        world.service.register_client(registered, ada),
        world.service.grant_scopes(wide, ada),
    ):
        with pytest.raises(Refused) as refusal:
            await refused
        assert reason_of(refusal) == "SCOPE_NOT_GRANTED"
    assert world.history(CLIENT, "back-door") == ()
    before = len(world.history(SCOPE_GRANT))
    await world.service.grant_scopes(own, ada)
    await world.service.register_client(registered, sam)
    await world.service.grant_scopes(wide, sam)
    assert len(world.history(SCOPE_GRANT)) == before + 2
    await world.create("alpha")
    await world.service.register_client(
        operators_pb.RegisterClientRequest(
            client=client("alpha-one", "OPERATOR", "alpha"), reason=REASON
        ),
        ada,
    )


async def test_the_keys_of_an_administrators_client_are_securitys(office: Office) -> None:
    world = office.world
    await office.register("ada", [LICENSING])
    made = await world.register("desk", "ADMINISTRATOR")
    request = operators_pb.RotateClientKeysRequest(
        client_id="desk",
        jwks=made.jwks,
        certificate_thumbprints=made.certificate_thumbprints,
        etag=made.etag,
        reason=REASON,
    )
    with pytest.raises(Refused) as refusal:
        await world.service.rotate_client_keys(request, acting("ada", LICENSING))
    assert reason_of(refusal) == "SCOPE_NOT_GRANTED"


async def test_a_person_removed_while_they_ask_changes_nothing(office: Office) -> None:
    await office.register("ada", [SECURITY])
    ada = acting("ada", SECURITY)
    await office.remove("ada")
    with pytest.raises(Refused) as refusal:
        await office.register("bob", [AUDIT], ada)
    assert reason_of(refusal) == "ADMINISTRATOR_NOT_ACTIVE"
