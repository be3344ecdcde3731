"""The development provider speaks OpenID Connect, and says what it is."""

import asyncio
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.config import ConfigRefused, GatewayConfig
from gateway.devprovider.accounts import invented_accounts
from gateway.devprovider.app import COOKIE
from gateway.devprovider.serving import running_provider
from gateway.pki.development import make_ca, make_server_certificate
from gateway.signin.provider import RelyingPartySettings
from operators.administrators import BASIC_ACR, STRONG_ACR
from tests.clock import NOW, StandingClock
from tests.people import Browser

REDIRECT = "https://gateway.test/signin/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class World:
    """A running provider, its one party, and a browser."""

    party: RelyingPartySettings
    browser: Browser
    clock: StandingClock
    numbers: list[int] = field(default_factory=lambda: [0])

    def url(self, **changed: str | None) -> str:
        """Return the authorisation request; ``changed`` parameters, None removes one."""
        parameters = {
            "client_id": self.party.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": "openid profile",
            "state": "s",
            "nonce": "n",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changed,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.party.issuer}/authorize?{httpx.QueryParams(given)}"

    async def signed_in(self, subject: str = "zhang-li", **changed: str | None) -> dict[str, str]:
        """Sign in and return what the browser brings back."""
        page = await self.browser.go(self.url(**changed))
        if page.status_code == 200:
            page = await self.browser.submit(page, account=subject)
        if page.status_code == 200:
            page = await self.browser.submit(page, code=shown_code(page))
        return answer_of(page)

    async def redeemed(self, code: str, **changed: str) -> httpx.Response:
        """Redeem a code."""
        self.numbers[0] += 1
        now = self.clock.now()
        assertion = self.party.key.sign(
            {
                "iss": self.party.client_id,
                "sub": self.party.client_id,
                "aud": self.party.issuer,
                "jti": str(self.numbers[0]),
                "iat": now,
                "exp": now + 60,
            }
        )
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
            **changed,
        }
        return await self.browser.http.post(f"{self.party.issuer}/token", data=form)

    async def claims(self, answer: dict[str, str]) -> dict[str, Any]:
        """Return the verified claims of the ID token an answer leads to."""
        tokens = (await self.redeemed(answer["code"])).json()
        keys = (await self.browser.http.get(f"{self.party.issuer}/jwks")).json()
        return jwt.decode(tokens["id_token"], KeySet.import_key_set(keys)).claims


def shown_code(page: httpx.Response) -> str:
    """Return the one-time code a page shows."""
    (code,) = re.findall(r'id="shown-code">(\d{6})<', page.text)
    return code


def answer_of(response: httpx.Response) -> dict[str, str]:
    """Return the parameters a browser is sent back with."""
    location = response.headers["location"]
    assert location.startswith(REDIRECT + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A provider that runs."""
    now = int(time.time())
    ca = make_ca("test root", now)
    ca.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    make_server_certificate(ca, now).write(tmp_path / "server.pem", tmp_path / "server.key")
    clock = StandingClock()
    async with (
        running_provider(
            port=0,
            certificate=tmp_path / "server.pem",
            key=tmp_path / "server.key",
            ca=tmp_path / "ca.pem",
            redirect_uri=REDIRECT,
            clock=clock,
        ) as party,
        httpx.AsyncClient(verify=party.tls, follow_redirects=False) as http,
    ):
        yield World(party, Browser(http, REDIRECT), clock)


async def test_it_describes_itself_as_discovery_wants(world: World) -> None:
    url = f"{world.party.issuer}/.well-known/openid-configuration"
    document = (await world.browser.http.get(url)).json()
    assert document["issuer"] == world.party.issuer
    assert document["authorization_response_iss_parameter_supported"] is True
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert document[name].startswith(f"{world.party.issuer}/")


async def test_an_account_signs_in_and_its_id_token_says_how(world: World) -> None:
    answer = await world.signed_in()
    assert (answer["state"], answer["iss"]) == ("s", world.party.issuer)
    claims = await world.claims(answer)
    assert (claims["iss"], claims["sub"]) == (world.party.issuer, "zhang-li")
    assert (claims["aud"], claims["nonce"]) == (world.party.client_id, "n")
    assert (claims["auth_time"], claims["acr"]) == (NOW, BASIC_ACR)
    assert "uscc" not in claims


async def test_a_representative_comes_with_their_company(world: World) -> None:
    claims = await world.claims(await world.signed_in("li-ming"))
    assert claims["uscc"].startswith("91000000DEM")
    assert claims["uscc_verified"] is True


async def test_two_factors_take_the_one_time_code(world: World) -> None:
    page = await world.browser.go(world.url(acr_values=STRONG_ACR))
    page = await world.browser.submit(page, account="zhang-li")
    right = shown_code(page)
    for wrong in (f"{(int(right) + 1) % 1_000_000:06d}", "é"):
        page = await world.browser.submit(page, code=wrong)
        assert page.status_code == 403
        assert "验证码不对" in page.text
    answer = answer_of(await world.browser.submit(page, code=right))
    claims = await world.claims(answer)
    assert (claims["acr"], claims["amr"]) == (STRONG_ACR, ["user", "otp"])


async def test_codes_cannot_be_guessed_on_and_on(world: World) -> None:
    page = await world.browser.go(world.url(acr_values=STRONG_ACR))
    page = await world.browser.submit(page, account="zhang-li")
    right = shown_code(page)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(3):
        page = await world.browser.submit(page, code=wrong)
    assert (await world.browser.submit(page, code=right)).status_code == 403


async def test_who_is_signed_in_need_not_again_unless_asked(world: World) -> None:
    await world.signed_in()
    world.clock.at += 60
    for quiet in ({}, {"max_age": "61"}, {"prompt": "none"}):
        answer = answer_of(await world.browser.go(world.url(**quiet)))
        assert (await world.claims(answer))["auth_time"] == NOW
    for anew in (
        {"max_age": "60"},
        {"max_age": "0"},
        {"prompt": "login"},
        {"acr_values": STRONG_ACR},
    ):
        assert "您是谁" in (await world.browser.go(world.url(**anew))).text
    again = await world.claims(await world.signed_in("wang-jun", max_age="0"))
    assert (again["sub"], again["auth_time"]) == ("wang-jun", NOW + 60)


async def test_without_anybody_signed_in_prompt_none_is_an_error(world: World) -> None:
    answer = answer_of(await world.browser.go(world.url(prompt="none")))
    assert answer == {"error": "login_required", "state": "s", "iss": world.party.issuer}


@pytest.mark.parametrize(
    "changed",
    [{"client_id": "another"}, {"redirect_uri": "https://evil.test/"}, {"redirect_uri": None}],
)
async def test_browsers_are_never_sent_where_nobody_registered(
    world: World, changed: dict[str, str | None]
) -> None:
    page = await world.browser.go(world.url(**changed))
    assert page.status_code == 400
    assert "location" not in page.headers


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "²"}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
    ],
)
async def test_what_is_asked_wrongly_is_told_to_the_party(
    world: World, changed: dict[str, str | None], error: str
) -> None:
    assert answer_of(await world.browser.go(world.url(**changed)))["error"] == error


async def test_a_code_is_redeemed_once_in_time_by_its_party(world: World) -> None:
    code = (await world.signed_in())["code"]
    assert (await world.redeemed(code)).status_code == 200
    assert (await world.redeemed(code)).json() == {"error": "invalid_grant"}
    for changed in ({"code_verifier": "w" * 43}, {"redirect_uri": "https://evil.test/"}):
        code = answer_of(await world.browser.go(world.url()))["code"]
        assert (await world.redeemed(code, **changed)).json() == {"error": "invalid_grant"}
    code = answer_of(await world.browser.go(world.url()))["code"]
    world.clock.at += 60
    assert (await world.redeemed(code)).json() == {"error": "invalid_grant"}


async def test_only_its_party_gets_tokens_and_each_assertion_once(world: World) -> None:
    code = (await world.signed_in())["code"]
    for assertion in ("", "a.b.c"):
        answer = await world.redeemed(code, client_assertion=assertion)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
    assert (await world.redeemed(code)).status_code == 200
    world.numbers[0] -= 1
    code = answer_of(await world.browser.go(world.url()))["code"]
    assert (await world.redeemed(code)).json() == {"error": "invalid_client"}


async def test_every_page_says_that_it_is_for_development_and_is_guarded(world: World) -> None:
    chosen = await world.browser.go(world.url(acr_values=STRONG_ACR))
    code = await world.browser.submit(chosen, account="zhang-li")
    refused = await world.browser.go(world.url(client_id="another"))
    for page in (chosen, code, refused):
        assert "仅供开发、演示和测试" in page.text
        assert "script" not in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    english = await world.browser.go(world.url(ui_locales="en"))
    assert "must not be used in production" in english.text


async def test_its_cookie_stays_with_it(world: World) -> None:
    page = await world.browser.go(world.url())
    done = await world.browser.submit(page, account="zhang-li")
    cookie = done.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert attribute in cookie


async def test_a_sign_in_does_not_wait_for_ever(world: World) -> None:
    page = await world.browser.go(world.url())
    world.clock.at += 600
    assert (await world.browser.submit(page, account="zhang-li")).status_code == 400


def test_the_people_are_invented_and_told_apart() -> None:
    accounts = invented_accounts()
    assert len({account.subject for account in accounts}) == len(accounts)
    for account in accounts:
        assert "虚构" in account.name
        assert account.uscc == "" or account.uscc[2:8] == "000000"


@pytest.mark.parametrize(
    "settings",
    [
        {"oidc_issuer": "https://idp.test", "oidc_client_id": "c", "oidc_client_key": "k.pem"},
        {"tls_certificate": "c.pem", "tls_key": "k.pem"},
        {"workers": 2},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_it_never_stands_beside_a_real_provider_or_real_certificates(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    file = tmp_path / "creditgate.toml"
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    file.write_text("\n".join(lines))
    GatewayConfig.load(file)
    file.write_text("\n".join([*lines, "development_provider = true"]))
    with pytest.raises(ConfigRefused, match="development_provider"):
        GatewayConfig.load(file)


def test_a_real_provider_is_configured_wholly_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "creditgate.toml"
    file.write_text('oidc_issuer = "https://idp.test"')
    with pytest.raises(ConfigRefused, match="oidc_client_key together"):
        GatewayConfig.load(file)


async def test_it_ends_with_the_gateway(tmp_path: Path) -> None:
    now = int(time.time())
    ca = make_ca("test root", now)
    ca.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    make_server_certificate(ca, now).write(tmp_path / "server.pem", tmp_path / "server.key")
    async with running_provider(
        port=0,
        certificate=tmp_path / "server.pem",
        key=tmp_path / "server.key",
        ca=tmp_path / "ca.pem",
        redirect_uri=REDIRECT,
        clock=StandingClock(),
    ) as party:
        port = urlsplit(party.issuer).port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
