"""Scopes: which OAuth scope each method needs, read from the protos themselves.

One source for server, SDK and documentation: the method option
``creditgate.v1.scope`` (see ``authorization.proto``).
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor

import creditgate.v1
from creditgate.v1 import authorization_pb2


def _service_files() -> Iterator[FileDescriptor]:
    for module in sorted(info.name for info in iter_modules(creditgate.v1.__path__)):
        if module.endswith("_service_pb2"):
            descriptor: FileDescriptor = import_module(f"creditgate.v1.{module}").DESCRIPTOR
            yield descriptor


@cache
def services() -> tuple[ServiceDescriptor, ...]:
    """Return every service of the contract, by file name."""
    return tuple(service for file in _service_files() for service in file.services_by_name.values())


def scope_of(method: MethodDescriptor) -> str:
    """Return the scope ``method`` needs, or "" where any token will do."""
    scope: str = method.GetOptions().Extensions[authorization_pb2.scope]
    return scope


@cache
def method_scopes() -> MappingProxyType[str, str]:
    """Return scope by method path ("/creditgate.v1.XService/Method")."""
    return MappingProxyType(
        {
            f"/{service.full_name}/{method.name}": scope_of(method)
            for service in services()
            for method in service.methods
        }
    )


@cache
def known_scopes() -> frozenset[str]:
    """Return every scope some method needs."""
    return frozenset(scope for scope in method_scopes().values() if scope)
