"""Clients: their ids and certificates are theirs alone, keys are replaced whole, removal is final."""

import json
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from tests.administration.world import (
    CALLER,
    CHIEF,
    DAY,
    NOW,
    REASON,
    World,
    client,
    fields_of,
    grant,
    jwks,
    reason_of,
    thumbprint,
)


async def _list(world: World, operator_id: str = "") -> list[str]:
    request = pb.ListClientsRequest(operator_id=operator_id)
    page = await world.service.list_clients(request, CALLER)
    assert not page.next_page_token
    return [found.client_id for found in page.clients]


async def test_client_is_kept_as_asked(world: World) -> None:
    await world.create()
    asked = client("alpha-one", "OPERATOR", "alpha")
    asked.certificate_thumbprints.append(thumbprint("second"))
    asked.remove_time.seconds = 1
    asked.etag = "4"
    request = pb.RegisterClientRequest(client=asked, reason=REASON)
    made = (await world.service.register_client(request, CALLER)).client
    asked.ClearField("remove_time")
    asked.etag = "1"
    asked.certificate_thumbprints.sort()
    asked.authentication, asked.binding = "private_key_jwt", "mtls"
    asked.grant_types.append("client_credentials")
    assert made == asked
    assert world.authority.clients["alpha-one"].grantee == "alpha"


async def test_client_id_is_given_once_even_after_removal(world: World) -> None:
    await world.register("feeder", "PUBLISHER")
    await world.remove("feeder")
    with pytest.raises(Refused) as refusal:
        await world.register("feeder", "PUBLISHER")
    assert reason_of(refusal) == "RESOURCE_EXISTS"


async def test_client_with_scopes_of_its_own_never_shares_the_id_of_an_operator(
    world: World,
) -> None:
    await world.create()
    for role in ("PUBLISHER", "ADMINISTRATOR"):
        with pytest.raises(Refused) as refusal:
            await world.register("alpha", role)
        assert reason_of(refusal) == "RESOURCE_EXISTS"
    await world.register("alpha", "OPERATOR", "alpha")


async def test_revoked_operator_gets_no_client_and_no_new_keys(world: World) -> None:
    await world.create()
    await world.register("alpha-one", "OPERATOR", "alpha")
    await world.suspend()
    await world.register("alpha-two", "OPERATOR", "alpha")
    await world.revoke()
    for call in (
        world.register("alpha-three", "OPERATOR", "alpha"),
        world.rotate("alpha-one", "1", "alpha-one"),
    ):
        with pytest.raises(Refused) as refusal:
            await call
        assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await world.register("beta-one", "OPERATOR", "beta")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    await world.remove("alpha-one")


async def test_certificate_belongs_to_one_live_client(world: World) -> None:
    await world.register("feeder", "PUBLISHER")
    await world.register("other", "PUBLISHER")
    stolen = client("third", "PUBLISHER")
    stolen.certificate_thumbprints.append(thumbprint("feeder"))
    request = pb.RegisterClientRequest(client=stolen, reason=REASON)
    with pytest.raises(Refused) as refusal:
        await world.service.register_client(request, CALLER)
    assert fields_of(refusal) == ["client.certificate_thumbprints[1]"]
    with pytest.raises(Refused) as refusal:
        await world.rotate("other", "1", "new", "other", "feeder")
    assert fields_of(refusal) == ["certificate_thumbprints[2]"]
    await world.remove("feeder")
    await world.rotate("other", "1", "feeder")


async def test_keys_overlap_where_old_and_new_are_sent_and_end_where_left_out(
    world: World,
) -> None:
    await world.register("feeder", "PUBLISHER")
    both = await world.rotate("feeder", "1", "feeder", "feeder-next")
    assert set(both.certificate_thumbprints) == {
        thumbprint("feeder"),
        thumbprint("feeder-next"),
    }
    assert (both.jwks, both.etag) == (jwks("next"), "2")
    new = await world.rotate("feeder", "2", "feeder-next")
    assert list(new.certificate_thumbprints) == [thumbprint("feeder-next")]
    kept = world.authority.clients["feeder"]
    assert kept.certificate_thumbprints == {thumbprint("feeder-next")}
    assert kept.role == ClientRole.CLIENT_ROLE_PUBLISHER


async def test_rotation_needs_the_etag_of_the_present_version(world: World) -> None:
    await world.register("feeder", "PUBLISHER")
    await world.rotate("feeder", "1", "feeder")
    with pytest.raises(Refused) as refusal:
        await world.rotate("feeder", "1", "other")
    assert reason_of(refusal) == "ETAG_MISMATCH"
    with pytest.raises(Refused) as refusal:
        await world.rotate("feeder", "", "other")
    assert fields_of(refusal) == ["etag"]
    with pytest.raises(Refused) as refusal:
        await world.rotate("nobody", "1", "other")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_every_fault_of_a_client_is_named_by_its_field(world: World) -> None:
    asked = pb.Client(client_id="A", jwks="{}", certificate_thumbprints=["secret"])
    with pytest.raises(Refused) as refusal:
        await world.service.register_client(pb.RegisterClientRequest(client=asked), CALLER)
    assert fields_of(refusal) == [
        "reason",
        "client.client_id",
        "client.role",
        "client.jwks",
        "client.certificate_thumbprints[0]",
    ]
    assert "secret" not in refusal.value.message


async def test_fault_of_a_client_as_a_whole_names_the_part_to_mend(world: World) -> None:
    await world.create()
    private = json.loads(jwks())
    private["keys"][0]["d"] = "c2VjcmV0"
    secret = client("feeder", "PUBLISHER")
    secret.jwks = json.dumps(private)
    bare = client("feeder", "PUBLISHER")
    bare.certificate_thumbprints.clear()
    many = client("feeder", "PUBLISHER")
    many.certificate_thumbprints.extend(thumbprint(str(number)) for number in range(8))
    for asked, field in (
        (client("alpha-one"), "client.operator_id"),
        (client("feeder", "PUBLISHER", "alpha"), "client.operator_id"),
        (secret, "client.jwks"),
        (bare, "client.certificate_thumbprints"),
        (many, "client.certificate_thumbprints"),
    ):
        with pytest.raises(Refused) as refusal:
            request = pb.RegisterClientRequest(client=asked, reason=REASON)
            await world.service.register_client(request, CALLER)
        assert fields_of(refusal) == [field]
        assert "frozenset" not in refusal.value.message


async def test_fault_of_new_keys_is_named_by_its_field(world: World) -> None:
    await world.register("feeder", "PUBLISHER")
    request = pb.RotateClientKeysRequest(client_id="feeder", jwks="[]", etag="1", reason=REASON)
    with pytest.raises(Refused) as refusal:
        await world.service.rotate_client_keys(request, CALLER)
    assert fields_of(refusal) == ["jwks", "certificate_thumbprints"]
    request.reason = ""
    request.etag = ""
    with pytest.raises(Refused) as refusal:
        await world.service.rotate_client_keys(request, CALLER)
    assert fields_of(refusal) == ["reason", "etag"]


async def test_client_is_removed_at_once_and_once(world: World) -> None:
    await world.register("feeder", "PUBLISHER")
    world.clock.at = NOW + DAY
    removed = await world.remove("feeder")
    assert (removed.remove_time.seconds, removed.etag) == (NOW + DAY, "2")
    assert world.authority.clients["feeder"].removed_at == NOW + DAY
    for call in (world.remove("feeder"), world.rotate("feeder", "2", "feeder")):
        with pytest.raises(Refused, match="removed") as refusal:
            await call
        assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await world.remove("nobody")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    with pytest.raises(Refused) as refusal:
        await world.service.remove_client(pb.RemoveClientRequest(client_id=CHIEF), CALLER)
    assert fields_of(refusal) == ["reason"]


async def test_clients_are_listed_by_id_all_or_those_of_one_operator(world: World) -> None:
    await world.create()
    await world.create("beta")
    await world.register("two", "OPERATOR", "alpha")
    await world.register("one", "OPERATOR", "alpha")
    await world.register("feeder", "PUBLISHER")
    await world.remove("one")
    assert await _list(world) == [CHIEF, "feeder", "one", "two"]
    assert await _list(world, "alpha") == ["one", "two"]
    assert await _list(world, "beta") == []
    with pytest.raises(Refused) as refusal:
        await _list(world, "gamma")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_page_of_clients_continues_only_the_listing_it_was_made_for(world: World) -> None:
    await world.create()
    for number in range(5):
        await world.register(f"alpha-{number}", "OPERATOR", "alpha")
    first = await world.service.list_clients(
        pb.ListClientsRequest(operator_id="alpha", page_size=2), CALLER
    )
    token = first.next_page_token
    rest = await world.service.list_clients(
        pb.ListClientsRequest(operator_id="alpha", page_size=9, page_token=token), CALLER
    )
    listed = [found.client_id for page in (first, rest) for found in page.clients]
    assert listed == [f"alpha-{number}" for number in range(5)]
    assert not rest.next_page_token
    for method, request in (
        (world.service.list_clients, pb.ListClientsRequest(page_token=token)),
        (world.service.list_operators, pb.ListOperatorsRequest(page_token=token)),
    ):
        with pytest.raises(Refused) as refusal:
            await method(request, CALLER)  # pyright: ignore[reportArgumentType]
        assert fields_of(refusal) == ["page_token"]


async def test_removed_client_gets_no_scopes(world: World) -> None:
    await world.register("feeder", "PUBLISHER")
    await world.grant(grant("feeder", "disclosure:publish"))
    await world.remove("feeder")
    with pytest.raises(Refused) as refusal:
        await world.grant(grant("feeder", "disclosure:repair"))
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_client_for_the_front_channel_is_kept_as_asked(world: World) -> None:
    await world.create()
    asked = client("alpha-one", "OPERATOR", "alpha")
    asked.authentication, asked.binding = "tls_client_auth", "dpop"
    asked.grant_types[:] = ["authorization_code", "refresh_token"]
    asked.redirect_uris[:] = ["https://alpha.example/back"]
    asked.signed_requests = True
    made = await world.service.register_client(
        pb.RegisterClientRequest(client=asked, reason=REASON), CALLER
    )
    for field in ("authentication", "binding", "grant_types", "redirect_uris", "signed_requests"):
        assert getattr(made.client, field) == getattr(asked, field)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"authentication": "client_secret_post"}, "client.authentication"),
        ({"binding": "bearer"}, "client.binding"),
        ({"grant_types": ["password"]}, "client.grant_types[0]"),
        ({"grant_types": ["refresh_token"]}, "client.grant_types"),
        ({"grant_types": ["authorization_code"]}, "client.redirect_uris"),
        ({"redirect_uris": ["https://alpha.example/"]}, "client.redirect_uris"),
        (
            {"grant_types": ["authorization_code"], "redirect_uris": ["http://alpha.example/"]},
            "client.redirect_uris[0]",
        ),
        *(
            (
                {"grant_types": ["authorization_code"], "redirect_uris": [f"https://{host}/back"]},
                "client.redirect_uris[0]",
            )
            for host in ("a;sandbox", "a,b", "a';b", "*.a.example", "u@a.example", "A.example")
        ),
        ({"certificate_thumbprints": []}, "client.certificate_thumbprints"),
        (
            {
                "certificate_thumbprints": [],
                "authentication": "tls_client_auth",
                "binding": "dpop",
            },
            "client.certificate_thumbprints",
        ),
    ],
)
async def test_client_outside_the_profile_is_refused_by_field(
    world: World, changed: dict[str, Any], field: str
) -> None:
    await world.create()
    asked = client("alpha-one", "OPERATOR", "alpha")
    for name, value in changed.items():
        asked.ClearField(name)  # type: ignore[arg-type]
        if isinstance(value, list):
            getattr(asked, name).extend(value)
        else:
            setattr(asked, name, value)
    with pytest.raises(Refused) as refused:
        await world.service.register_client(
            pb.RegisterClientRequest(client=asked, reason=REASON), CALLER
        )
    assert field in {violation.field for violation in refused.value.violations}
