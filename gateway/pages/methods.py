"""Methods of the contract as pages call them, for somebody who is signed in.

What a page shows and does goes through the same method, judged the same way, as a call from
outside; what is refused is noted like a refusal of any call (G7).
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.message import Message

from creditgate.refusal import Refused
from gateway.authenticate.caller import Caller

TOKEN_SECONDS: Final = 60
"""How long what a page acts with is good for."""

_Answer = TypeVar("_Answer", bound=Message)


class PageMethod(Protocol):
    """What is needed of a method of one request; ``serve`` is None where it is for later."""

    @property
    def name(self) -> str:
        """Service/Method."""
        ...

    @property
    def scope(self) -> str:
        """The scope it needs."""
        ...

    @property
    def serve(self) -> Callable[[Any, Any], Any] | None:
        """Answers a request of a caller: awaited, or iterated where the answer is a stream."""
        ...


class RefusalNotes(Protocol):
    """Keeps what was refused to whom."""

    async def note(
        self, caller: Caller, method: str, request: Message | None, refused: Refused
    ) -> str:
        """Return the decision id once the refusal is durable."""
        ...


class PageMethods:
    """The methods that pages may call, each of one request; ``methods`` go by its full name."""

    def __init__(self, methods: Mapping[str, PageMethod], refusals: RefusalNotes) -> None:
        self._methods = methods
        self._refusals = refusals

    def scope_of(self, request: type[Message]) -> str:
        """Return the scope of a request's method, "" where no method of it is served."""
        method = self._methods.get(request.DESCRIPTOR.full_name)
        return "" if method is None or method.serve is None else method.scope

    async def ask(
        self,
        caller: Caller,
        require: Callable[[str], None],
        request: Message,
        answer: type[_Answer],
    ) -> _Answer:
        """Return the answer to ``request`` as ``caller``.

        ``require`` is given the scope first, and raises Refused where the caller may not use
        it. Raises Refused also as the method does, once that is noted.
        """
        method = self._methods[request.DESCRIPTOR.full_name]
        assert method.serve is not None, "pages of what is not served are not shown"
        try:
            require(method.scope)
            found = await method.serve(request, caller)
        except Refused as refused:
            await self._refusals.note(caller, method.name, request, refused)
            raise
        assert isinstance(found, answer)
        return found

    async def each(
        self,
        caller: Caller,
        require: Callable[[str], None],
        request: Message,
        answer: type[_Answer],
    ) -> AsyncGenerator[_Answer]:
        """Yield the answers to ``request`` of a method that streams them; see `ask`."""
        method = self._methods[request.DESCRIPTOR.full_name]
        assert method.serve is not None, "pages of what is not served are not shown"
        try:
            require(method.scope)
            async for found in method.serve(request, caller):
                assert isinstance(found, answer)
                yield found
        except Refused as refused:
            await self._refusals.note(caller, method.name, request, refused)
            raise
