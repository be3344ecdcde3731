"""A proxy that the environment names leads to other hosts, never to this one."""

import pytest

from sdk.proxies import by_proxy
from tests.installation import Installation
from tests.server.calls import query

_NOBODY = "http://127.0.0.1:9"
_EVERY = ("HTTPS_PROXY", "https_proxy", "http_proxy", "grpc_proxy", "ALL_PROXY")


@pytest.mark.parametrize(
    "place",
    [
        *("127.0.0.1:50051", "localhost:50051", "[::1]:50051"),
        *("https://127.0.0.1:8443", "https://localhost:8443/oauth", "https://[::1]:8443"),
    ],
)
def test_this_host_is_reached_by_none(place: str) -> None:
    assert not by_proxy(place)


@pytest.mark.parametrize(
    "place", ["gateway.example:50051", "https://gateway.example:8443", "192.0.2.1:443", "[::2]:1"]
)
def test_other_hosts_may_be_reached_by_one(place: str) -> None:
    assert by_proxy(place)


@pytest.fixture
def _proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies for everything, at which nobody listens."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in _EVERY:
        monkeypatch.setenv(name, _NOBODY)


@pytest.mark.usefixtures("_proxied")
async def test_a_gateway_on_this_host_is_called_directly(embedded: Installation) -> None:
    async with embedded.running() as gateway, gateway.channel() as channel:
        assert not (await query(channel)).records
