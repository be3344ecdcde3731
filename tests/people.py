"""People, their browsers and the clients they approve for, on a real installation."""

import re
import secrets
import ssl
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from sqlalchemy import update

from creditgate.v1.administrator_service_pb2 import AdministratorRole
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.signin.tables import SESSION
from operators.administrators import ADMINISTRATOR, STRONG_ACR, Administrator
from operators.log import Draft
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant
from operators.roles import scopes_of_role
from tests.installation import Gateway, Installation
from tests.parties import REDIRECT, Party, enrolled

CONSOLE: Final = "console"
SECURITY: Final = AdministratorRole.ADMINISTRATOR_ROLE_SECURITY
LICENSING: Final = AdministratorRole.ADMINISTRATOR_ROLE_LICENSING
AUDIT: Final = AdministratorRole.ADMINISTRATOR_ROLE_AUDIT
SETTINGS: Final = {
    "development_provider": True,
    "development_provider_port": 0,
    "authority_poll_ms": 10,
}
COMPANY: Final = "91000000DEM000011A"
"""The invented company that li-ming represents at the development provider."""


def console(installation: Installation, client_id: str = CONSOLE, **how: Any) -> Party:
    """Enrol a client that people administer through, with every scope of its role."""
    party = enrolled(
        installation, client_id, grant_types=("authorization_code", "refresh_token"), **how
    )
    record = Client.model_validate(
        {
            **party.record.model_dump(),
            "role": ClientRole.CLIENT_ROLE_ADMINISTRATOR,
            "operator_id": "",
        }
    )
    installation.keep(CLIENT, client_id, record)
    now = installation.clock.now()
    grants = [
        ScopeGrant(
            grant_id=f"{client_id}-{number}", grantee=client_id, scope=scope, valid_from=now - 1
        )
        for number, scope in enumerate(sorted(scopes_of_role(record.role)))
    ]
    installation.log.append(
        [Draft(SCOPE_GRANT, grant.grant_id, 0, grant.as_document()) for grant in grants],
        changed_by="test",
        changed_at=now,
        reason="test",
    )
    return Party(record, party.algorithm, party.key, party.certificate, party.folder)


def administer(
    installation: Installation,
    issuer: str,
    subject: str,
    roles: Iterable[AdministratorRole.ValueType],
    removed_at: int | None = None,
) -> Administrator:
    """Make who is ``subject`` at ``issuer`` an administrator, or change what they are."""
    person = Administrator(
        administrator_id=subject,
        display_name=f"{subject} (invented)",
        issuer=issuer,
        subject=subject,
        roles=frozenset(roles),
        removed_at=removed_at,
    )
    installation.keep(ADMINISTRATOR, subject, person)
    return person


@dataclass
class Browser:
    """A browser without script: follows redirects within the gateway and its provider only."""

    http: httpx.AsyncClient
    redirect_uri: str = REDIRECT
    seen: list[httpx.Response] = field(default_factory=list[httpx.Response])

    async def go(self, url: str, **form: str) -> httpx.Response:
        """Visit ``url``, posting ``form`` if there is one, and follow where it leads.

        Ends at a page, or at a redirect to the client.
        """
        method, data = ("POST", form) if form else ("GET", None)
        response = await self.http.request(method, url, data=data)
        for _ in range(10):
            self.seen.append(response)
            location = response.headers.get("location")
            if location is None or location.startswith(self.redirect_uri):
                return response
            response = await self.http.get(urljoin(str(response.url), location))
        raise AssertionError("too many redirects")

    async def follow(self, page: httpx.Response, part: str) -> httpx.Response:
        """Follow the first link of ``page`` whose address holds ``part``."""
        links = re.findall(r'<a [^>]*href="([^"]+)"', page.text)
        (link, *_) = [unescape(link) for link in links if part in link]
        return await self.go(urljoin(str(page.url), link))

    async def submit(self, page: httpx.Response, **chosen: str) -> httpx.Response:
        """Submit the form of ``page`` that has the fields ``chosen``, or its first one."""
        for form in re.findall(r"<form.*?</form>", page.text, re.DOTALL):
            names = set(re.findall(r'name="([^"]+)"', form))
            if chosen.keys() <= names:
                action = unescape(re.findall(r'action="([^"]+)"', form)[0])
                fields = fields_of(form)
                return await self.go(urljoin(str(page.url), action), **{**fields, **chosen})
        raise AssertionError(f"no form with {sorted(chosen)}: {page.text}")

    async def sign_in(self, page: httpx.Response, subject: str) -> httpx.Response:
        """Sign in as ``subject`` from a page that offers it, and return where that leads."""
        page = await self.follow(page, "/sign-in")
        if "您是谁" in page.text or "Who are you" in page.text:
            page = await self.submit(page, account=subject)
        if 'id="shown-code"' in page.text:
            (code,) = re.findall(r'id="shown-code">(\d{6})<', page.text)
            page = await self.submit(page, code=code)
        return page


def fields_of(form: str) -> dict[str, str]:
    """Return the hidden fields of a form."""
    return {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    }


def age_sessions(
    installation: Installation, *, idle: int = 0, signed_in: int = 0, began: int = 0
) -> None:
    """Make all sessions older, as if that many seconds had passed since the last click, the
    sign-in at the provider, and the beginning of the session."""
    with installation.engines.authority.begin() as connection:
        connection.execute(
            update(SESSION).values(
                seen_at=SESSION.c.seen_at - idle,
                auth_time=SESSION.c.auth_time - signed_in,
                began_at=SESSION.c.began_at - began,
            )
        )


@asynccontextmanager
async def browser(installation: Installation) -> AsyncGenerator[Browser]:
    """Give a browser that trusts the development CA and shows no certificate."""
    context = ssl.create_default_context(cafile=installation.home.ca)
    async with httpx.AsyncClient(verify=context, follow_redirects=False) as http:
        yield Browser(http)


@dataclass(frozen=True)
class Asking:
    """A client in the middle of its code flow."""

    party: Party
    gateway: Gateway
    verifier: str
    state: str
    url: str

    def code_of(self, response: httpx.Response) -> str:
        """Return the code the browser brings back, everything else checked."""
        answer = answer_of(response)
        assert answer["state"] == self.state
        assert answer["iss"] == self.gateway.running.issuer
        return answer["code"]

    async def token(self, code: str) -> dict[str, Any]:
        """Redeem a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": self.verifier,
        }
        return (await self.post("token", form)).json()

    async def refreshed(self, token: str) -> httpx.Response:
        """Ask for a new token by a refresh token."""
        return await self.post("token", {"grant_type": "refresh_token", "refresh_token": token})

    async def post(self, endpoint: str, form: dict[str, str]) -> httpx.Response:
        """Post to an endpoint, authenticated."""
        return await _post(self.gateway, self.party, endpoint, form)


def answer_of(response: httpx.Response) -> dict[str, str]:
    """Return the parameters of the authorisation response a browser was given."""
    location = response.headers["location"]
    assert location.startswith(REDIRECT), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def ask(gateway: Gateway, party: Party, scope: str, **more: str) -> Asking:
    """Push an authorisation request of ``party`` and return where its browser goes."""
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    pushed = await _post(
        gateway,
        party,
        "par",
        {
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": scope,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **more,
        },
    )
    assert pushed.status_code == 201, pushed.text
    query = httpx.QueryParams(client_id=party.client_id, request_uri=pushed.json()["request_uri"])
    url = f"{gateway.running.issuer}/oauth/authorize?{query}"
    return Asking(party, gateway, verifier, state, url)


async def _post(
    gateway: Gateway, party: Party, endpoint: str, form: dict[str, str]
) -> httpx.Response:
    issuer = gateway.running.issuer
    context = ssl.create_default_context(cafile=gateway.installation.home.ca)
    context.load_cert_chain(party.folder / "certificate.pem", party.folder / "key.pem")
    whole = {**form, **party.authentication(issuer, gateway.installation.clock.now())}
    async with httpx.AsyncClient(verify=context) as http:
        return await http.post(f"{issuer}/oauth/{endpoint}", data=whole)


async def provider_of(gateway: Gateway, party: Party) -> str:
    """Return the issuer of the development provider a gateway sends browsers to."""
    asking = await ask(
        gateway, party, "operators:read" if party.client_id == CONSOLE else "usage:read"
    )
    async with browser(gateway.installation) as visitor:
        page = await visitor.go(asking.url)
        await visitor.follow(page, "/sign-in")
        return str(visitor.seen[-1].url.copy_with(path="/", query=None)).rstrip("/")


async def person_token(
    gateway: Gateway, party: Party, subject: str, scope: str, *, strong: bool = False
) -> dict[str, Any]:
    """Return a token response for who signs in as ``subject`` and approves."""
    more = {"acr_values": STRONG_ACR, "max_age": "0"} if strong else {}
    asking = await ask(gateway, party, scope, **more)
    async with browser(gateway.installation) as visitor:
        page = await visitor.sign_in(await visitor.go(asking.url), subject)
        done = await visitor.submit(page, decision="approve")
        return await asking.token(asking.code_of(done))


def write_profile(gateway: Gateway, party: Party) -> Path:
    """Write the party's profile for the command line, and return where it is."""
    from gateway.pki.files import write_private

    profile = party.folder / "profile.json"
    write_private(profile, _profile_document(gateway, party))
    return profile


def _profile_document(gateway: Gateway, party: Party) -> bytes:
    import json

    return json.dumps(
        {
            "client_id": party.client_id,
            "certificate": "certificate.pem",
            "key": "key.pem",
            "signing_key": "signing.pem",
            "ca": str(gateway.running.ca),
            "grpc": gateway.running.grpc,
            "issuer": gateway.running.issuer,
        }
    ).encode()
