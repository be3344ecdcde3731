"""A channel to the gateway: TLS, and a fresh access token on every call.

A token bound to a certificate is added by wrapping the channel's multicallables. gRPC's own ways cost more:
call credentials were measured at about 250 µs of CPU and 0.8 ms a call, because they
cross to another thread; a client interceptor makes every call a task of its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final

import grpc

from sdk.credentials import KeyCredentials, Profile
from sdk.dpop import ProofKey
from sdk.proven_calls import CallProofs
from sdk.proxies import channel_options
from sdk.tokens import AccessTokens, AsyncTokenSource

_Metadata = tuple[tuple[str, str | bytes], ...]
_MOST_BYTES: Final = 64 * 1024 * 1024


async def connect(
    credentials: Profile,
    *,
    scopes: tuple[str, ...] = (),
    options: Sequence[tuple[str, Any]] = (),
    tokens: AccessTokens | None = None,
) -> grpc.aio.Channel:
    """Get a first token and return a channel that keeps it fresh until closed.

    Use it with the generated stubs, as ``async with await connect(...) as channel``.
    With `KeyCredentials` each call carries a proof of its own.
    ``scopes`` narrows the token; ``options`` are gRPC channel arguments; ``tokens`` is
    where tokens come from, None for the client's own. Raises `sdk.tokens.TokenRefused`.
    """
    tokens = tokens or AsyncTokenSource(credentials, scopes)
    try:
        first = await tokens.token()
    except BaseException:
        await tokens.close()
        raise
    settings = [
        ("grpc.max_receive_message_length", _MOST_BYTES),
        *channel_options(credentials.grpc),
        *options,
    ]
    tls = _tls(credentials)
    if not isinstance(credentials, KeyCredentials):
        channel = grpc.aio.secure_channel(credentials.grpc, tls, options=settings)
        return _AuthorizedChannel(channel, tokens, _Authorization(first))
    key = ProofKey.read(credentials.dpop_key.read_bytes())
    proofs = CallProofs(key, credentials.public_url, first)
    channel = grpc.aio.secure_channel(
        credentials.grpc, tls, options=settings, interceptors=proofs.interceptors()
    )
    return _RenewingChannel(channel, tokens, proofs.renew)


def _tls(profile: Profile) -> grpc.ChannelCredentials:
    certificate, key = (None, None) if profile.shown is None else profile.shown
    return grpc.ssl_channel_credentials(
        profile.ca.read_bytes(),
        None if key is None else key.read_bytes(),
        None if certificate is None else certificate.read_bytes(),
    )


class _Authorization:
    """The authorization metadata of the moment."""

    def __init__(self, token: str) -> None:
        self.metadata: _Metadata = ()
        self.renew(token)

    def renew(self, token: str) -> None:
        self.metadata = (("authorization", f"Bearer {token}"),)


class _AuthorizedCall:
    """A multicallable of any of the four kinds, with the authorization added."""

    def __init__(self, call: Any, authorization: _Authorization) -> None:
        self._call = call
        self._authorization = authorization

    def __call__(
        self,
        *arguments: Any,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        **named: Any,
    ) -> Any:
        added = self._authorization.metadata
        whole = added if metadata is None else (*metadata, *added)
        return self._call(*arguments, metadata=whole, **named)


class _RenewingChannel(grpc.aio.Channel):
    """A channel with a token that ``renewed`` is told of; closing it stops the renewal."""

    def __init__(
        self, channel: grpc.aio.Channel, tokens: AccessTokens, renewed: Callable[[str], None]
    ) -> None:
        self._channel = channel
        self._tokens = tokens
        self._renewal = asyncio.create_task(tokens.keep_fresh(renewed), name="token-renewal")

    async def __aenter__(self) -> "_RenewingChannel":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """End the calls, after ``grace`` seconds at most, and stop renewing."""
        self._renewal.cancel()
        try:
            # Awaiting it would not tell its cancellation from one of the caller's own.
            await asyncio.wait((self._renewal,))
        finally:
            await self._tokens.close()
            await self._channel.close(grace)
        if not self._renewal.cancelled():
            self._renewal.result()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """As grpc.aio.Channel."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """As grpc.aio.Channel."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """As grpc.aio.Channel."""
        await self._channel.channel_ready()

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel."""
        return self._channel.unary_unary(*arguments, **named)

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel."""
        return self._channel.unary_stream(*arguments, **named)

    def stream_unary(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel."""
        return self._channel.stream_unary(*arguments, **named)

    def stream_stream(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel."""
        return self._channel.stream_stream(*arguments, **named)


class _AuthorizedChannel(_RenewingChannel):
    """A channel whose calls all carry the token."""

    def __init__(
        self, channel: grpc.aio.Channel, tokens: AccessTokens, authorization: _Authorization
    ) -> None:
        super().__init__(channel, tokens, authorization.renew)
        self._authorization = authorization

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel, with the token."""
        return _AuthorizedCall(super().unary_unary(*arguments, **named), self._authorization)

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel, with the token."""
        return _AuthorizedCall(super().unary_stream(*arguments, **named), self._authorization)

    def stream_unary(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel, with the token."""
        return _AuthorizedCall(super().stream_unary(*arguments, **named), self._authorization)

    def stream_stream(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel, with the token."""
        return _AuthorizedCall(super().stream_stream(*arguments, **named), self._authorization)
