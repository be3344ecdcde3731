"""The methods of the contract, each with what serves it, if anything does yet."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from creditgate.scopes import scope_of, services

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Method:
    """One method: ``name`` reads Service/Method; ``serve`` None where it is for later.

    ``path`` is that of its URL: /creditgate.v1.Service/Method.

    ``serve(request, caller)`` is awaited, or iterated where the answer is a stream.
    """

    name: str
    path: str
    scope: str
    request: type[Message]
    streams_requests: bool
    streams_answers: bool
    serve: Callable[[Any, Any], Any] | None


def contract_methods(served: Mapping[str, Sequence[object]]) -> dict[str, Method]:
    """Return every method by path ("/creditgate.v1.Service/Method").

    ``served`` gives the objects that serve each service; a method that none of them has
    is for later.
    """
    return {
        f"/{service.full_name}/{method.name}": _method(method, served.get(service.name, ()))
        for service in services()
        for method in service.methods
    }


def _method(method: MethodDescriptor, serving: Sequence[object]) -> Method:
    name = _CAPITAL.sub("_", method.name).lower()
    return Method(
        name=f"{method.containing_service.name}/{method.name}",
        path=f"/{method.containing_service.full_name}/{method.name}",
        scope=scope_of(method),
        request=GetMessageClass(method.input_type),
        streams_requests=method.client_streaming,
        streams_answers=method.server_streaming,
        serve=next((getattr(each, name) for each in serving if hasattr(each, name)), None),
    )
