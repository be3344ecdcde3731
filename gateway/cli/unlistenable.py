"""What is told where the gateway cannot listen at an address of its settings."""

import errno
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from gateway.config import GatewayConfig

_BY_NUMBER: Final = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EAFNOSUPPORT}


class _Server(NamedTuple):
    """What listens: what it is called, where, and by which settings."""

    name: str
    host: str
    port: int
    settings: str


def told_of(error: Exception, settings: "GatewayConfig") -> str:
    """Return what to tell where ``error`` is that an address cannot be listened at, "" where it is
    another one."""
    if not _is_of_an_address(error):
        return ""
    servers = _servers(settings)
    return next(filter(None, map(_own_fault, servers)), "") or _taken(servers)


def _is_of_an_address(error: Exception) -> bool:
    if isinstance(error, socket.gaierror):
        return True
    if isinstance(error, OSError):
        return error.errno in _BY_NUMBER and error.filename is None
    # gRPC tells all of it by a bare RuntimeError, whatever the reason.
    return str(error).startswith("Failed to bind to address")


def _servers(settings: "GatewayConfig") -> list[_Server]:
    from gateway.config import DEVELOPMENT_PROVIDER_HOST

    servers = [
        _Server("gRPC", settings.grpc_host, settings.grpc_port, "CREDITGATE_GRPC"),
        _Server("HTTPS", settings.https_host, settings.https_port, "CREDITGATE_HTTPS"),
    ]
    if settings.development_provider:
        port, variable = settings.development_provider_port, "CREDITGATE_DEVELOPMENT_PROVIDER"
        servers.append(
            _Server("the development provider", DEVELOPMENT_PROVIDER_HOST, port, variable)
        )
    return servers


def _own_fault(server: _Server) -> str:
    """Return why nobody could listen there, "" where it is only that somebody does already."""
    from gateway.oauth.connection import bound_socket

    try:
        bound_socket(server.host, server.port).close()
    except PermissionError:
        return (
            f"{server.name} may not listen at port {server.port}: below 1024 that takes a right"
            f" (CAP_NET_BIND_SERVICE). Set {server.settings}_PORT to another."
        )
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            return ""
        return (
            f"{server.name} cannot listen at {server.host}: it is no address of this host, nor a"
            f" name of one. Set {server.settings}_HOST; 127.0.0.1 is for this host alone, 0.0.0.0"
            " for all who reach it."
        )
    return ""


def _taken(servers: list[_Server]) -> str:
    wanted = ", ".join(f"{each.name} {each.host}:{each.port}" for each in servers)
    *others, last = (f"{each.settings}_PORT" for each in servers)
    return (
        f"A port is taken, of those that are wanted: {wanted}. Stop what listens there, or set"
        f" {', '.join(others)} or {last}; 0 takes any free one."
    )
