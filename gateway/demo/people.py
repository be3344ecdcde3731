"""People of the demo: registered as administrators, and signed in through a browser."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from creditgate.v1 import administrator_service_pb2 as pb
from gateway.cli.calls import Gateway
from gateway.cli.code_flow import CodeFlow
from gateway.cli.login import REDIRECT_URI
from gateway.cli.signed_in import PersonTokens, SignedIn
from gateway.clock import SystemClock
from gateway.demo.browser import browser
from gateway.demo.cast import CONSOLE, PEOPLE
from gateway.demo.enrolment import REASON
from gateway.devprovider.accounts import Account, invented_accounts
from gateway.installation.home import Home
from operators.administrators import STRONG_ACR
from sdk.connection import connect
from sdk.credentials import Credentials

_STRONGLY: Final[Mapping[str, str]] = {"acr_values": STRONG_ACR, "max_age": "0"}


class Person(NamedTuple):
    """Somebody who signed in: their connection, and the scopes of their token."""

    gateway: Gateway
    scopes: frozenset[str]


async def provider_of(home: Home) -> str:
    """Return the identity provider that the gateway of ``home`` sends people to.

    The console has to be enrolled. Raises TokenRefused, PageUnexpected, httpx.HTTPError.
    """
    credentials = Credentials.load(home.profile(CONSOLE))
    flow = CodeFlow(credentials)
    try:
        begun = await asyncio.to_thread(flow.begin, REDIRECT_URI, (), {})
    finally:
        flow.close()
    async with browser(credentials.ca, REDIRECT_URI) as visitor:
        return await visitor.provider(begun.url)


async def register_people(gateway: Gateway, provider: str) -> Sequence[pb.Administrator]:
    """Register the demo's administrators, as known at ``provider``, where they are missing.

    Returns them in the order of the accounts. Raises grpc.RpcError.
    """
    listed = await gateway.every_page(
        pb.ListAdministratorsRequest(page_size=200), pb.ListAdministratorsResponse
    )
    known = {(person.issuer, person.subject): person for person in listed.administrators}
    taken = {person.administrator_id for person in listed.administrators}
    return [
        known.get((provider, account.subject))
        or await _registered(gateway, provider, account, taken)
        for account in invented_accounts()
        if account.subject in PEOPLE
    ]


async def _registered(
    gateway: Gateway, provider: str, account: Account, taken: set[str]
) -> pb.Administrator:
    # Somebody known at another provider's address is another person, whose id stays theirs.
    numbered = (f"{account.subject}-{number}" for number in range(2, len(taken) + 3))
    administrator_id = next(free for free in (account.subject, *numbered) if free not in taken)
    person = pb.Administrator(
        administrator_id=administrator_id,
        display_name=account.name,
        issuer=provider,
        subject=account.subject,
        roles=[PEOPLE[account.subject]],
    )
    answer = await gateway.ask(
        pb.RegisterAdministratorRequest(administrator=person, reason=REASON),
        pb.RegisterAdministratorResponse,
    )
    return answer.administrator


@asynccontextmanager
async def signed_in(home: Home, account: str, *, strongly: bool = False) -> AsyncGenerator[Person]:
    """Sign in as ``account`` through the console, as `creditgate login` has it done.

    Every step is a real one (RFC 9126, the pages, the provider, the code); only the person
    and their browser are played. ``strongly`` asks for a second factor. Raises
    TokenRefused, PageUnexpected, httpx.HTTPError.
    """
    profile = home.profile(CONSOLE)
    credentials = Credentials.load(profile)
    flow = CodeFlow(credentials)
    try:
        more = _STRONGLY if strongly else {}
        begun = await asyncio.to_thread(flow.begin, REDIRECT_URI, (), more)
        async with browser(credentials.ca, REDIRECT_URI) as visitor:
            await visitor.sign_in(begun.url, account)
            answer = await visitor.approve()
        asked_at = SystemClock().now()
        tokens = await asyncio.to_thread(flow.finish, begun, answer)
    finally:
        flow.close()
    person = SignedIn.of(credentials, tokens, asked_at)
    async with await connect(
        credentials, tokens=PersonTokens(profile, credentials, person)
    ) as channel:
        yield Person(Gateway(channel), frozenset(tokens.scope.split()))
