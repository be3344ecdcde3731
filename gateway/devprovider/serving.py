"""Running the provider inside the gateway's process, on a loopback port of its own.

A port of its own, not a path of the gateway's: a provider is another origin, and a demo
that shared one would hide what only works within one.
"""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from gateway.clock import Clock
from gateway.config import DEVELOPMENT_PROVIDER_HOST
from gateway.devprovider.accounts import invented_accounts
from gateway.devprovider.app import build_provider_app
from gateway.devprovider.provider import DevelopmentProvider
from gateway.devprovider.sign_in_request import RegisteredParty
from gateway.oauth.connection import bound_socket, build_http_server, tls_context
from gateway.pki.client_keys import make_assertion_key
from gateway.signin.provider import RelyingPartySettings
from gateway.signin.tls import trusting
from operators.administrators import STRONG_ACR
from sdk.signing import SigningKey

_PARTY: Final = "creditgate"


@asynccontextmanager
async def running_provider(
    *, port: int, certificate: Path, key: Path, ca: Path, redirect_uri: str, clock: Clock
) -> AsyncGenerator[RelyingPartySettings]:
    """Serve at ``port`` of the loopback address; give what the gateway is to it.

    ``certificate`` and ``key`` are of the development CA ``ca``. The gateway is its one
    relying party, by a key made here that lives as long as the provider. Raises OSError
    when the port is taken.
    """
    bound = bound_socket(DEVELOPMENT_PROVIDER_HOST, port)
    try:
        issuer = f"https://{DEVELOPMENT_PROVIDER_HOST}:{bound.getsockname()[1]}"
        key_of_party = SigningKey.read(make_assertion_key().key)
        party = RegisteredParty(_PARTY, redirect_uri, key_of_party.public)
        provider = DevelopmentProvider(issuer, party, clock)
        tls = tls_context(certificate, key, ca)
        # Browsers would ask people for a certificate, and nobody here has one.
        tls.verify_mode = ssl.CERT_NONE
        server = build_http_server(build_provider_app(provider, invented_accounts()), tls)
        task = await server.begin(bound, "development-provider")
    except BaseException:
        bound.close()
        raise
    try:
        yield RelyingPartySettings(
            issuer=issuer,
            client_id=_PARTY,
            key=key_of_party,
            strong_acrs=frozenset({STRONG_ACR}),
            redirect_uri=redirect_uri,
            tls=trusting(ca),
        )
    finally:
        server.stop()
        await task
        bound.close()
