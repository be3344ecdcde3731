"""Calls to a gateway through the SDK, for commands: one channel, one event loop each.

A request names its method by itself, since every method of the contract has a request
of its own (buf's RPC_REQUEST_RESPONSE_UNIQUE); so no generated stub, and no gRPC, is
imported before there is something to call.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from creditgate.scopes import services
from gateway.cli.failures import CommandFailed

if TYPE_CHECKING:
    import grpc

    from gateway.cli.signed_in import PersonTokens
    from sdk.credentials import Credentials

SIGNED_IN: Final = "signed-in.json"
"""File beside a profile that holds the tokens of who signed in with it."""

_DEADLINE_SECONDS: Final = 30
_Result = TypeVar("_Result")
_Answer = TypeVar("_Answer", bound=Message)


class Gateway:
    """The methods of a gateway, over an open channel."""

    def __init__(self, channel: "grpc.aio.Channel") -> None:
        self.channel = channel

    async def ask(
        self,
        request: Message,
        answer: type[_Answer],
        metadata: Sequence[tuple[str, str]] = (),
        seconds: float = _DEADLINE_SECONDS,
    ) -> _Answer:
        """Call the unary method of ``request``, for ``seconds`` at most. Raises grpc.RpcError."""
        call = self.channel.unary_unary(
            _path(request),
            request_serializer=_serialised,
            response_deserializer=answer.FromString,
        )
        return await call(request, timeout=seconds, metadata=tuple(metadata))

    async def every_page(self, request: Any, answer: type[_Answer]) -> _Answer:
        """Call a List method until its last page and return all pages as one answer."""
        whole = answer()
        while True:
            page: Any = await self.ask(request, answer)
            whole.MergeFrom(page)
            if not page.next_page_token:
                whole.ClearField("next_page_token")
                return whole
            request.page_token = page.next_page_token

    def stream(
        self, request: Message, answer: type[_Answer]
    ) -> "grpc.aio.UnaryStreamCall[Any, _Answer]":
        """Call the server-streaming method of ``request``; cancel it when done with it."""
        call = self.channel.unary_stream(
            _path(request),
            request_serializer=_serialised,
            response_deserializer=answer.FromString,
        )
        return call(request)


def read_profile(profile: Path) -> "Credentials":
    """Read a profile. Raises CommandFailed telling the command that mends it."""
    from sdk.credentials import Credentials

    try:
        credentials = Credentials.load(profile)
    except FileNotFoundError:
        raise CommandFailed(
            f"There is no profile {profile}. `creditgate init` makes an installation and its"
            " administrator's; `creditgate client register --make-keys` makes others; --profile or"
            " CREDITGATE_PROFILE names one."
        ) from None
    except ValueError as error:
        raise CommandFailed(str(error)) from None
    named = (credentials.certificate, credentials.key, credentials.signing_key, credentials.ca)
    missing = [str(path) for path in named if not path.exists()]
    if missing:
        raise CommandFailed(
            f"The profile {profile} names files that are missing: {', '.join(missing)}."
            " `creditgate client rotate --make-keys` makes new keys."
        )
    return credentials


def with_gateway(profile: Path, work: Callable[[Gateway], Awaitable[_Result]]) -> _Result:
    """Connect as ``profile``, do ``work`` and return what it returns.

    Raises CommandFailed, grpc.RpcError, sdk.tokens.TokenRefused.
    """
    credentials = read_profile(profile)

    async def connected() -> _Result:
        from sdk.connection import connect

        async with await connect(credentials, tokens=_person(profile, credentials)) as channel:
            return await work(Gateway(channel))

    return run(connected())


def _person(profile: Path, credentials: "Credentials") -> "PersonTokens | None":
    """Return the tokens of who signed in with ``profile``; None for nobody.

    Then the client acts for itself.
    """
    if not profile.with_name(SIGNED_IN).exists():
        return None
    from gateway.cli.signed_in import PersonTokens, kept

    signed_in = kept(profile)
    if signed_in is None or signed_in.client_id != credentials.client_id:
        return None
    return PersonTokens(profile, credentials, signed_in)


def ask(
    profile: Path,
    request: Message,
    answer: type[_Answer],
    seconds: float = _DEADLINE_SECONDS,
) -> _Answer:
    """Make one unary call as ``profile``, for ``seconds`` at most. Raises as `with_gateway`."""
    return with_gateway(profile, lambda gateway: gateway.ask(request, answer, seconds=seconds))


def every_page(profile: Path, request: Any, answer: type[_Answer]) -> _Answer:
    """List everything as ``profile``. Raises as `with_gateway`."""
    return with_gateway(profile, lambda gateway: gateway.every_page(request, answer))


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run ``work`` on an event loop of its own; Ctrl-C cancels it."""
    import asyncio

    return asyncio.run(work)


def _serialised(request: Message) -> bytes:
    return request.SerializeToString()


def _path(request: Message) -> str:
    method = _methods()[request.DESCRIPTOR.full_name]
    return f"/{method.containing_service.full_name}/{method.name}"


@cache
def _methods() -> dict[str, MethodDescriptor]:
    return {
        method.input_type.full_name: method for service in services() for method in service.methods
    }
