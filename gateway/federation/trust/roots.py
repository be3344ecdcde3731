"""Which authorities' client certificates connections may show: the gateway's own, and those of
the regions that are admitted, as their chains name them.

They open the TLS connection and nothing else: who a client is follows from the thumbprint of
its certificate, so that no authority of one region can make a client of another. A region's
authorities are taken in while the gateway runs; from the HTTPS side they go with its restart.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc

from creditgate.refusal import Refused
from operators.regions import Regions


class ClientRoots:
    """The authorities of the moment; any thread.

    ``regions`` gives the regions known, and raises Refused where they are not known.
    """

    def __init__(self, own: Path, regions: Callable[[], Regions]) -> None:
        self._own = own
        self._regions = regions

    def regions(self) -> Regions | None:
        """Return the regions whose authorities are taken in; None while they are not known."""
        try:
            return self._regions()
        except Refused:
            return None

    def of_regions(self, regions: Regions) -> list[bytes]:
        """Return the authorities of admitted regions (PEM), each once, in order."""
        pems = {
            regions.known[client_id].roots.strip().encode() + b"\n"
            for client_id in regions.admissions
            if regions.admission(client_id) is not None and client_id in regions.known
        }
        return sorted(pems)

    def all(self, regions: Regions) -> bytes:
        """Return the gateway's own authorities and those of admitted regions (PEM)."""
        return b"".join([self._own.read_bytes().strip() + b"\n", *self.of_regions(regions)])


def following_grpc_tls(key: Path, certificate: Path, roots: ClientRoots) -> grpc.ServerCredentials:
    """Return the credentials of a gRPC server that takes ``roots`` in as they change.

    Raises OSError where a file cannot be read.
    """

    def configured(regions: Regions) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), certificate.read_bytes())], root_certificates=roots.all(regions)
        )

    seen = roots.regions() or Regions()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        # Asked at each handshake, by a thread of gRPC's own; None keeps what there is.
        nonlocal seen
        regions = roots.regions()
        if regions is None or regions is seen:
            return None
        configuration = configured(regions)
        seen = regions
        return configuration

    return grpc.dynamic_ssl_server_credentials(
        # Its stub knows no None, which keeps what there is.
        configured(seen),
        cast("Callable[[], grpc.ServerCertificateConfiguration]", changed),
        require_client_authentication=True,
    )


class FollowingContext:
    """Takes the authorities of regions into the TLS settings of a server that runs."""

    def __init__(self, context: ssl.SSLContext, roots: ClientRoots) -> None:
        self._context = context
        self._roots = roots
        self._taken: set[bytes] = set()
        self._seen: Regions | None = None

    async def step(self) -> bool:
        """Take in what is new; never tells of more to do at once."""
        regions = self._roots.regions()
        if regions is None or regions is self._seen:
            return False
        for pem in self._roots.of_regions(regions):
            if pem not in self._taken:
                self._context.load_verify_locations(cadata=pem.decode("ascii"))
                self._taken.add(pem)
        self._seen = regions
        return False
