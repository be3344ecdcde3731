"""Attacks on the way to a code: pushed requests, redirects, what the browser carries."""

import asyncio

import pytest

from gateway.oauth.interactions import Approval
from tests.attacks.code_flow import (
    PERSON,
    STRONG,
    approved,
    browse,
    opened,
    parameters,
    push,
    pushed,
    redeem,
    response_in,
)
from tests.attacks.forgeries import forgeries, signed
from tests.attacks.ground import READ, WEB, Ground, error_of
from tests.attacks.lure import laid
from tests.parties import REDIRECT

pytestmark = pytest.mark.asyncio(loop_scope="module")

REDIRECTS = (
    *(
        changed
        for uri in (REDIRECT, WEB)
        for changed in (
            f"{uri}/",
            f"{uri}?next=https://evil.example",
            f"{uri}#fragment",
            f"{uri}/../../evil",
            f"{uri}%2f..%2fevil",
            f" {uri}",
            f"{uri} ",
            f"{uri}\\@evil.example",
            uri.upper(),
            uri.replace("/callback", "/Callback"),
            uri.replace("/callback", "//callback"),
            uri.replace("/callback", ""),
            uri.replace("://", "://evil.example@"),
            uri.replace("/callback", "@evil.example/callback"),
            uri.replace("/callback", ".evil.example/callback"),
        )
    ),
    # RFC 8252 section 7.3 leaves the port of a loopback address open, and nothing else.
    REDIRECT.replace("http://", "https://"),
    REDIRECT.replace("127.0.0.1", "localhost"),
    REDIRECT.replace("127.0.0.1", "127.1"),
    REDIRECT.replace("127.0.0.1", "127.0.0.2"),
    REDIRECT.replace("127.0.0.1", "[::1]"),
    REDIRECT.replace(":1/", ":1:2/"),
    REDIRECT.replace(":1/", ":x/"),
    REDIRECT.replace(":1/", ":1@evil.example/"),
    WEB.replace("https://", "http://"),
    WEB.replace("example/", "example:8443/"),
    WEB.replace("example/", "example:443/"),
    WEB.replace("example/", "example./"),
    WEB.replace("https://", "https://www."),
    "https://evil.example/callback",
    "//evil.example/callback",
    "javascript:alert(1)",
    "data:text/html,x",
    "urn:ietf:wg:oauth:2.0:oob",
    "/callback",
    "",
)


async def test_every_response_names_its_issuer(ground: Ground) -> None:
    """A1a mixes servers up; RFC 9700 sections 2.1 and 4.4.2.1, RFC 9207."""
    metadata = await (await ground.https(None)).get("/.well-known/oauth-authorization-server")
    assert metadata.json()["authorization_response_iss_parameter_supported"] is True
    request = await pushed(ground, ground.cast.victim)
    response = await approved(ground, request)
    assert (response["iss"], response["state"]) == (ground.issuer, request.state)
    denied = await pushed(ground, ground.cast.victim)
    interaction_id = await opened(ground, denied)
    url = await asyncio.to_thread(ground.inside.interactions.deny, interaction_id)
    assert url is not None
    refusal = response_in(url)
    assert refusal["error"] == "access_denied"
    assert (refusal["iss"], refusal["state"]) == (ground.issuer, denied.state)


async def test_no_redirect_uri_but_a_registered_one_is_taken(ground: Ground) -> None:
    """A1 wants the code; RFC 9700 sections 2.1 and 4.1."""
    for uri in REDIRECTS:
        answer = await push(ground, ground.cast.victim, redirect_uri=uri)
        assert error_of(answer) == "invalid_request", uri
        assert "location" not in answer.headers
    assert error_of(await push(ground, ground.cast.victim, redirect_uri=None)) == "invalid_request"
    for uri in (REDIRECT, REDIRECT.replace(":1/", ":2/"), WEB):
        assert error_of(await push(ground, ground.cast.victim, redirect_uri=uri)) == ""


async def test_a_code_is_redeemed_with_its_own_redirect_uri_only(ground: Ground) -> None:
    """A1 swaps the redirect_uri of the token request; RFC 6749 section 4.1.3, RFC 9700 4.1."""
    request = await pushed(ground, ground.cast.victim)
    code = (await approved(ground, request))["code"]
    for uri in (*REDIRECTS[:8], REDIRECT.replace(":1/", ":2/"), WEB, None):
        answer = await redeem(ground, request, code, redirect_uri=uri)
        assert error_of(answer) in ("invalid_grant", "invalid_request"), uri
    assert error_of(await redeem(ground, request, code)) == ""


async def test_what_was_not_pushed_is_shown_and_sends_nobody_anywhere(ground: Ground) -> None:
    """A3a sends a victim's browser with a request of its own; RFC 9700 sections 2.1 and 4.11.2."""
    asked = parameters("s" * 22, "v" * 43)
    client_id = ground.cast.victim.client_id
    queries = [
        {"client_id": client_id, **asked},
        {"client_id": client_id, **asked, "redirect_uri": "https://evil.example"},
        {"client_id": client_id, "request_uri": "https://evil.example/request.jwt"},
        {"client_id": client_id, "request_uri": "urn:ietf:params:oauth:request_uri:" + "A" * 43},
        {
            "client_id": client_id,
            "request": signed({"alg": "ES256"}, asked, ground.cast.victim.key),
        },
        {"client_id": "nobody", **asked},
        {},
    ]
    for query in queries:
        answer = await browse(ground, **query)
        assert answer.status_code == 400, query
        assert "location" not in answer.headers
        assert "evil.example" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_what_a_browser_adds_to_a_pushed_request_is_not_read(ground: Ground) -> None:
    """A3a adds parameters on the way; RFC 9126 section 4, RFC 9700 section 4.8."""
    request = await pushed(ground, ground.cast.victim)
    answer = await browse(
        ground,
        client_id=ground.cast.victim.client_id,
        request_uri=request.request_uri,
        redirect_uri="https://evil.example/callback",
        scope="operators:create",
        state="attackers",
        code_challenge="A" * 43,
        code_challenge_method="plain",
        response_mode="fragment",
        prompt="none",
    )
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{ground.issuer}/interaction/")
    interaction_id = answer.headers["location"].rpartition("/")[2]
    asked = await asyncio.to_thread(ground.inside.interactions.asked, interaction_id)
    assert asked is not None
    assert (asked.redirect_uri, asked.scopes, asked.prompt) == (REDIRECT, {READ}, "")


async def test_a_request_uri_gives_one_code(ground: Ground) -> None:
    """A3a read the request_uri and opens it again; RFC 9126 section 7.3, FAPI 2.0 5.3.2.2."""
    request = await pushed(ground, ground.cast.victim)
    # The browser and whoever looks over its shoulder open it; one of them decides.
    first, second = await opened(ground, request), await opened(ground, request)
    interactions = ground.inside.interactions
    approval = Approval(PERSON, frozenset({READ}), (), ground.now(), STRONG)
    urls = await asyncio.gather(
        *(asyncio.to_thread(interactions.approve, each, approval) for each in (first, second) * 4)
    )
    assert len([url for url in urls if url is not None]) == 1
    for each in (first, second):
        assert await asyncio.to_thread(interactions.asked, each) is None
        assert await asyncio.to_thread(interactions.deny, each) is None
    again = await browse(ground, client_id=request.party.client_id, request_uri=request.request_uri)
    assert again.status_code == 400


async def test_a_request_uri_is_opened_for_its_client_only(ground: Ground) -> None:
    """A1 is a client and swaps requests; RFC 9126 section 7.4, RFC 9700 section 4.15."""
    request = await pushed(ground, ground.cast.victim)
    for client_id in (ground.cast.thief.client_id, ground.cast.rival.client_id, "", "nobody"):
        answer = await browse(ground, client_id=client_id, request_uri=request.request_uri)
        assert answer.status_code == 400
    assert await opened(ground, request)


async def test_nothing_wider_than_granted_can_be_pushed(ground: Ground) -> None:
    """A1 is a client and asks for more; RFC 9700 section 2.3."""
    for scope in ("operators:create", f"{READ} operators:create", "openid", "*", f"{READ}:x"):
        assert error_of(await push(ground, ground.cast.victim, scope=scope)) == "invalid_scope"
    request = await pushed(ground, ground.cast.victim)
    interaction_id = await opened(ground, request)
    wider = Approval(PERSON, frozenset({READ, "usage:read"}), (), ground.now(), STRONG)
    with pytest.raises(ValueError, match="nothing else"):
        await asyncio.to_thread(ground.inside.interactions.approve, interaction_id, wider)


async def test_the_request_is_not_argued_down(ground: Ground) -> None:
    """A3a or a careless client drops what protects the code; RFC 9700 sections 2.1.1, 4.8."""
    arguments: tuple[dict[str, str | None], ...] = (
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "A" * 42},
        {"code_challenge": "A" * 44},
        {"code_challenge": "="},
        {"response_type": "token"},
        {"response_type": "code token"},
        {"response_type": "code id_token"},
        {"response_type": None},
        {"response_mode": "fragment"},
        {"response_mode": "form_post"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:" + "A" * 43},
    )
    party = ground.cast.victim
    for changed in arguments:
        asked = parameters("s" * 22, "v" * 43, **changed)
        answer = await ground.post("/oauth/par", asked, party)
        assert error_of(answer) in ("invalid_request", "unsupported_response_type"), changed
    others = {**parameters("s" * 22, "v" * 43), **party.authentication(ground.issuer, ground.now())}
    answer = await ground.post("/oauth/par", {**others, "client_id": "thief"}, party)
    assert error_of(answer) == "invalid_client"


async def test_no_forged_request_object_is_taken(ground: Ground) -> None:
    """A1 forges the signed request of a client; RFC 9101 sections 10.1 to 10.8."""
    party = ground.cast.victim
    now = ground.now()
    header = {"alg": party.algorithm, "typ": "oauth-authz-req+jwt", "kid": party.key.thumbprint()}
    claims = {
        "iss": party.client_id,
        "aud": ground.issuer,
        "nbf": now,
        "exp": now + 60,
        "client_id": party.client_id,
        **parameters("s" * 22, "v" * 43),
    }
    async with laid() as lure:
        for trick, jwt in forgeries(header, claims, party.key, lure.url):
            answer = await ground.post("/oauth/par", {"request": jwt}, party)
            assert error_of(answer) in ("invalid_request_object", "invalid_request"), trick
    assert lure.visits == 0
    wrong = (
        {"client_id": ground.cast.thief.client_id},
        {"iss": ground.cast.thief.client_id},
        {"aud": "https://other.example"},
        {"exp": now - 1},
        {"nbf": now + 61},
        {"nbf": None},
        {"request_uri": "https://evil.example/x"},
        {"request": "x"},
        {"redirect_uri": "https://evil.example"},
        {"scope": "operators:create"},
        {"scope": [READ]},
        {"code_challenge": 1},
    )
    for changed in wrong:
        jwt = signed(header, {**claims, **changed}, party.key)
        answer = await ground.post("/oauth/par", {"request": jwt}, party)
        assert not answer.is_success, changed
        assert answer.status_code < 500
    whole = await ground.post("/oauth/par", {"request": signed(header, claims, party.key)}, party)
    assert whole.status_code == 201
