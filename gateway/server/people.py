"""Signing people in, composed: at the provider that is configured, or the development one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy import Engine

from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.devprovider.serving import running_provider
from gateway.installation.home import Home
from gateway.signin.attempts import Attempts
from gateway.signin.desk import CALLBACK_PATH, SignInDesk
from gateway.signin.principals import Principals
from gateway.signin.provider import IdentityProvider, RelyingPartySettings
from gateway.signin.relying_party import RelyingParty
from gateway.signin.sessions import Sessions
from gateway.signin.tls import trusting
from sdk.signing import SigningKey


@asynccontextmanager
async def sign_in_desk(
    config: GatewayConfig, home: Home, engine: Engine, clock: Clock, issuer: str
) -> AsyncGenerator[SignInDesk | None]:
    """Give the desk while the context lasts; None where no provider is configured.

    ``engine`` is that of the authority store, ``issuer`` the gateway's own URL. Raises
    OSError when a file is missing or the development provider's port is taken, ValueError
    for a key that cannot be used.
    """
    redirect_uri = f"{issuer.rstrip('/')}{CALLBACK_PATH}"
    async with AsyncExitStack() as stack:
        settings = _configured(config, redirect_uri)
        if config.development_provider:
            settings = await stack.enter_async_context(
                running_provider(
                    port=config.development_provider_port,
                    certificate=home.server_certificate,
                    key=home.server_key,
                    ca=home.ca,
                    redirect_uri=redirect_uri,
                    clock=clock,
                )
            )
        if settings is None:
            yield None
            return
        provider = IdentityProvider(settings, clock)
        stack.push_async_callback(provider.close)
        principals = await asyncio.to_thread(Principals.kept_in, engine)
        yield SignInDesk(
            Sessions(engine, clock, principals),
            Attempts(engine, clock),
            RelyingParty(settings, provider, clock, principals),
        )


def _configured(config: GatewayConfig, redirect_uri: str) -> RelyingPartySettings | None:
    if (
        config.oidc_issuer is None
        or config.oidc_client_id is None
        or config.oidc_client_key is None
    ):
        return None
    return RelyingPartySettings(
        issuer=config.oidc_issuer,
        client_id=config.oidc_client_id,
        key=SigningKey.read(config.oidc_client_key.read_bytes()),
        strong_acrs=frozenset(config.oidc_strong_acr_values),
        redirect_uri=redirect_uri,
        tls=trusting(config.oidc_ca),
    )
