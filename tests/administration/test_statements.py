"""Software statements: issued under a licence in force, for one use, by two under four-eyes."""

from pathlib import Path
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import registration_service_pb2 as pb
from gateway.administration.statements import RegistrationService
from gateway.oauth.rotation import issue_signing_key
from gateway.oauth.signing import SigningKeys
from gateway.oauth.software_statement import read_statement
from operators.log import Draft
from operators.registration import SOFTWARE_STATEMENT
from tests.administration.office import acting, approve, furnish_office, set_policy
from tests.administration.world import CALLER, DAY, NOW, REASON, World, fields_of, reason_of

ISSUER = "https://gateway.test"


@pytest.fixture
async def office(world: World, tmp_path: Path) -> RegistrationService:
    """The service; operator alpha holds a licence, beta holds none."""
    keys = SigningKeys(tmp_path)
    issue_signing_key(
        world.log, keys, algorithm="ES256", changed_by="office", now=NOW, reason=REASON
    )
    await world.create()
    await world.create("beta")
    await world.issue()
    return RegistrationService(world.log, world.feed, world.clock, keys, ISSUER)


def asked(**fields: Any) -> pb.IssueSoftwareStatementRequest:
    """Return a good request, but for ``fields``."""
    usual: dict[str, Any] = {
        "operator_id": "alpha",
        "licence_number": "L-1",
        "software_id": "checker",
        "reason": REASON,
    }
    return pb.IssueSoftwareStatementRequest(**{**usual, **fields})


async def shown(office: RegistrationService, statement_id: str) -> pb.GetSoftwareStatementResponse:
    """Return a statement."""
    request = pb.GetSoftwareStatementRequest(statement_id=statement_id)
    return await office.get_software_statement(request, CALLER)


async def test_a_statement_is_issued_signed_and_kept(
    world: World, office: RegistrationService
) -> None:
    answer = await office.issue_software_statement(asked(life_seconds=60), CALLER)
    keys = world.feed.current().signing_keys
    claims = read_statement(answer.software_statement, keys, ISSUER, NOW)
    assert claims.model_dump() == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "alpha",
        "licence": "L-1",
        "software_id": "checker",
        "jti": answer.statement.statement_id,
        "iat": NOW,
        "exp": NOW + 60,
    }
    assert not answer.proposal_id
    again = await shown(office, answer.statement.statement_id)
    assert again.statement == answer.statement
    assert read_statement(again.software_statement, keys, ISSUER, NOW) == claims


async def test_a_statement_lives_a_day_unless_told_otherwise(office: RegistrationService) -> None:
    answer = await office.issue_software_statement(asked(), CALLER)
    assert answer.statement.expire_time.seconds == NOW + DAY


async def test_a_used_or_expired_statement_is_not_signed_again(
    world: World, office: RegistrationService
) -> None:
    first, second = [
        (await office.issue_software_statement(asked(), CALLER)).statement for _ in range(2)
    ]
    kept = world.authority.statements[first.statement_id]
    used = kept.model_copy(update={"used_by": "alpha-two"})
    world.log.append(
        [Draft(SOFTWARE_STATEMENT, first.statement_id, 1, used.as_document())],
        changed_by="alpha-two",
        changed_at=NOW,
        reason=REASON,
    )
    await world.feed.refresh()
    answer = await shown(office, first.statement_id)
    assert (answer.statement.used_by, answer.software_statement) == ("alpha-two", "")
    world.clock.at += DAY - 1
    assert (await shown(office, second.statement_id)).software_statement
    world.clock.at += 1
    assert not (await shown(office, second.statement_id)).software_statement


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"operator_id": "A"}, ["operator_id"]),
        ({"licence_number": ""}, ["licence_number"]),
        ({"software_id": "a b"}, ["software_id"]),
        ({"life_seconds": -1}, ["life_seconds"]),
        ({"life_seconds": 7 * DAY + 1}, ["life_seconds"]),
        ({"reason": ""}, ["reason"]),
    ],
)
async def test_a_malformed_request_is_told_by_field(
    office: RegistrationService, fields: dict[str, Any], expected: list[str]
) -> None:
    with pytest.raises(Refused) as refusal:
        await office.issue_software_statement(asked(**fields), CALLER)
    assert fields_of(refusal) == expected


async def test_a_statement_needs_an_active_operator_with_that_licence_in_force(
    world: World, office: RegistrationService
) -> None:
    async def refused(**fields: Any) -> str:
        with pytest.raises(Refused) as refusal:
            await office.issue_software_statement(asked(**fields), CALLER)
        return reason_of(refusal)

    assert await refused(operator_id="gamma") == "RESOURCE_NOT_FOUND"
    assert await refused(licence_number="L-9") == "RESOURCE_NOT_FOUND"
    assert await refused(operator_id="beta") == "RESOURCE_NOT_FOUND"
    await world.suspend()
    assert await refused() == "STATE_CONFLICT"
    await world.reinstate()
    await world.end_licence()
    assert await refused() == "STATE_CONFLICT"
    await world.revoke()
    assert await refused() == "STATE_CONFLICT"
    assert not world.authority.statements


async def test_an_unknown_statement_is_not_found(office: RegistrationService) -> None:
    with pytest.raises(Refused) as refusal:
        await shown(office, "unknown")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_under_a_guarded_policy_a_statement_takes_two(
    world: World, office: RegistrationService
) -> None:
    furnish_office(world.log)
    await world.feed.refresh()
    assert (await set_policy(world, guarded=True)).policy.guarded
    proposed = await office.issue_software_statement(asked(), acting("ann"))
    assert proposed.proposal_id
    assert not proposed.software_statement
    assert not world.authority.statements
    await approve(world, proposed.proposal_id, acting("bob"))
    (statement_id,) = world.authority.statements
    assert (await shown(office, statement_id)).software_statement
