"""What a person may do: within their roles, at this instant, signed in strongly enough."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from creditgate.refusal import Refused, reason_name
from creditgate.scopes import known_scopes
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from creditgate.v1.operator_service_pb2 import ClientRole
from operators.administration_policy import (
    ADMINISTRATION_POLICY,
    POLICY_ID,
    AdministrationPolicy,
)
from operators.administrators import (
    ADMINISTRATOR,
    BASIC_ACR,
    DANGEROUS_SCOPES,
    FRESH_SECONDS,
    STRONG_ACR,
    Administrator,
    scopes_of_administrator_role,
)
from operators.authority import Authority
from operators.kept import Kept
from operators.log import Change
from operators.persons import (
    SignIn,
    acting_administrator,
    require_person,
    require_reach,
    scopes_within,
)
from operators.roles import scopes_of_role
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition
from tests.clock import NOW

LICENSING = AdministratorRole.ADMINISTRATOR_ROLE_LICENSING
PRICING = AdministratorRole.ADMINISTRATOR_ROLE_PRICING
SECURITY = AdministratorRole.ADMINISTRATOR_ROLE_SECURITY
AUDIT = AdministratorRole.ADMINISTRATOR_ROLE_AUDIT
ROLES = (LICENSING, PRICING, SECURITY, AUDIT)
PRINCIPAL = "administrator:ada"


def person(
    roles: Iterable[AdministratorRole.ValueType], removed_at: int | None = None
) -> Administrator:
    """Return the administrator ada."""
    return Administrator(
        administrator_id="ada",
        display_name="Ada",
        issuer="https://idp.test",
        subject="ada",
        roles=frozenset(roles),
        removed_at=removed_at,
    )


def authority(*things: tuple[str, str, Kept], guarded: bool = False) -> Authority:
    """Return authority with these things of (kind, id, thing)."""
    policy = (ADMINISTRATION_POLICY, POLICY_ID, AdministrationPolicy(guarded=guarded))
    return Authority.empty().advanced(
        [
            Change(number, kind, id_, 1, thing.as_document(), "test", NOW, "test")
            for number, (kind, id_, thing) in enumerate([*things, policy], 1)
        ]
    )


def with_ada(*roles: AdministratorRole.ValueType, guarded: bool = False) -> Authority:
    """Return authority with ada in ``roles``."""
    return authority((ADMINISTRATOR, "ada", person(roles)), guarded=guarded)


def reason(authority: Authority, sign_in: SignIn, scope: str, now: int = NOW) -> str | None:
    """Return why who signed in may not, None where they may."""
    try:
        require_person(authority, sign_in, scope, now)
    except Refused as refused:
        return reason_name(refused.reason)
    return None


def test_no_role_has_what_no_administrators_client_may_hold() -> None:
    client = scopes_of_role(ClientRole.CLIENT_ROLE_ADMINISTRATOR)
    for role in ROLES:
        assert scopes_of_administrator_role(role) <= client
    whole = frozenset[str]().union(*map(scopes_of_administrator_role, ROLES))
    assert whole == client


def test_dangerous_scopes_are_scopes_of_methods() -> None:
    assert known_scopes() >= DANGEROUS_SCOPES


def test_audit_changes_nothing() -> None:
    actions = {scope.rpartition(":")[2] for scope in scopes_of_administrator_role(AUDIT)}
    assert actions <= {"describe", "history", "list", "read", "trace"}


def test_only_security_sets_roles_and_policy() -> None:
    for role in (LICENSING, PRICING, AUDIT):
        scopes = scopes_of_administrator_role(role)
        assert not scopes & {
            "administrators:assign",
            "administrators:register",
            "administrators:remove",
            "policy:set",
        }


def test_only_licensing_lets_operators_in_and_only_pricing_sets_prices() -> None:
    for role in ROLES:
        scopes = scopes_of_administrator_role(role)
        lets_in = scopes & {"licences:issue", "clients:register", "scopes:grant"}
        assert bool(lets_in) == (role == LICENSING)
        assert bool(scopes & {"prices:create", "settlement:close"}) == (role == PRICING)


@given(
    roles=st.sets(st.sampled_from(ROLES), min_size=1), scope=st.sampled_from(sorted(known_scopes()))
)
def test_a_person_may_what_one_of_their_roles_has_and_nothing_else(
    roles: set[AdministratorRole.ValueType], scope: str
) -> None:
    allowed = any(scope in scopes_of_administrator_role(role) for role in roles)
    sign_in = SignIn(PRINCIPAL, NOW, BASIC_ACR)
    found = reason(with_ada(*roles), sign_in, scope)
    assert found == (None if allowed else "SCOPE_NOT_GRANTED")


@pytest.mark.parametrize("principal", ["administrator:ada", "administrator:nobody"])
def test_who_was_removed_or_never_was_may_nothing(principal: str) -> None:
    gone = authority((ADMINISTRATOR, "ada", person(ROLES, removed_at=NOW)))
    for scope in ("operators:read", "operators:create"):
        sign_in = SignIn(principal, NOW, STRONG_ACR)
        assert reason(gone, sign_in, scope) == "ADMINISTRATOR_NOT_ACTIVE"
    assert scopes_within(gone, principal, known_scopes()) == frozenset()
    assert person(ROLES, removed_at=NOW).scopes == frozenset()


@pytest.mark.parametrize("principal", ["", "console", "representative:1"])
def test_who_acts_for_no_administrator_is_judged_by_the_client_alone(principal: str) -> None:
    state = with_ada(AUDIT)
    assert acting_administrator(state, principal) is None
    assert reason(state, SignIn(principal, None, ""), "scopes:grant") is None
    assert scopes_within(state, principal, {"scopes:grant"}) == {"scopes:grant"}
    require_reach(state, principal, {"scopes:grant"})


@given(
    scope=st.sampled_from(sorted(known_scopes())),
    ago=st.integers(min_value=-60, max_value=3 * FRESH_SECONDS) | st.none(),
    acr=st.sampled_from(["", BASIC_ACR, STRONG_ACR, "urn:else"]),
    principal=st.sampled_from([PRINCIPAL, "", "console", "representative:1"]),
)
def test_under_a_guarded_policy_dangerous_actions_take_a_fresh_strong_sign_in(
    scope: str, ago: int | None, acr: str, principal: str
) -> None:
    state = with_ada(*ROLES, guarded=True)
    sign_in = SignIn(principal, None if ago is None else NOW - ago, acr)
    may = principal != PRINCIPAL or scope in person(ROLES).scopes
    fresh = ago is not None and ago < FRESH_SECONDS
    stepped_up = principal == PRINCIPAL and acr == STRONG_ACR and fresh
    expected = None
    if not may:
        expected = "SCOPE_NOT_GRANTED"
    elif scope in DANGEROUS_SCOPES and not stepped_up:
        expected = "STEP_UP_REQUIRED"
    assert reason(state, sign_in, scope) == expected


@pytest.mark.parametrize("scope", sorted(DANGEROUS_SCOPES))
def test_under_an_open_policy_nothing_takes_a_step_up(scope: str) -> None:
    state = with_ada(*ROLES)
    assert reason(state, SignIn(PRINCIPAL, NOW - 86_400, BASIC_ACR), scope) is None
    assert reason(state, SignIn("", None, ""), scope) is None


def test_a_step_up_is_asked_for_as_rfc_9470_says() -> None:
    with pytest.raises(Refused) as refusal:
        require_person(
            with_ada(LICENSING, guarded=True),
            SignIn(PRINCIPAL, NOW, BASIC_ACR),
            "scopes:grant",
            NOW,
        )
    assert refusal.value.metadata == {"acr_values": STRONG_ACR, "max_age": str(FRESH_SECONDS)}
    assert refusal.value.status.name == "UNAUTHENTICATED"


def test_freshness_ends_at_the_very_second() -> None:
    state = with_ada(LICENSING, guarded=True)
    sign_in = SignIn(PRINCIPAL, NOW, STRONG_ACR)
    assert reason(state, sign_in, "scopes:grant", NOW + FRESH_SECONDS - 1) is None
    assert reason(state, sign_in, "scopes:grant", NOW + FRESH_SECONDS) == "STEP_UP_REQUIRED"


def test_a_managed_scope_may_be_named_where_the_person_may_use_a_part_of_it() -> None:
    managed = ScopeDefinition(
        name="desk:work",
        scopes=frozenset({"prices:create", "operators:create"}),
        title_zh="窗口",
        title_en="Desk",
    )
    things = (SCOPE_DEFINITION, "desk:work", managed)
    asked = {"desk:work", "prices:read"}
    for role, named in ((PRICING, asked), (LICENSING, {"desk:work"}), (AUDIT, {"prices:read"})):
        state = authority((ADMINISTRATOR, "ada", person([role])), things)
        assert scopes_within(state, PRINCIPAL, asked) == named


def test_nobody_reaches_beyond_their_roles_but_who_lets_administrators_in() -> None:
    licensing, security = with_ada(LICENSING), with_ada(SECURITY)
    require_reach(licensing, PRINCIPAL, {"scopes:grant", "operators:create"})
    with pytest.raises(Refused, match="role security"):
        require_reach(licensing, PRINCIPAL, {"scopes:grant", "prices:create"})
    require_reach(security, PRINCIPAL, known_scopes())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("administrator_id", "A"),
        ("administrator_id", "ada:x"),
        ("display_name", " "),
        ("issuer", "http://idp.test"),
        ("issuer", "https://idp.test?x=1"),
        ("subject", ""),
        ("subject", "a b"),
        ("subject", "x" * 256),
        ("roles", ()),
        ("roles", (0,)),
        ("roles", (9,)),
    ],
)
def test_an_administrator_has_its_shape_or_is_none(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Administrator.model_validate({**person(ROLES).as_document(), field: value})
