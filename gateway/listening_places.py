"""Whether two addresses that one host listens at are the same. Pure."""

from typing import Final, NamedTuple

_EVERY_IPV4: Final = "0.0.0.0"  # noqa: S104  # recognised, not bound
_EVERY: Final = "::"


class Place(NamedTuple):
    """Where is listened: ``host`` as it is set, ``port`` 0 for any free one."""

    host: str
    port: int

    def meets(self, other: "Place") -> bool:
        """Tell whether both would take the same connections. Names but localhost are not looked
        up: of two that differ it is not known."""
        if self.port == 0 or self.port != other.port:
            return False
        hosts = {_address(self.host), _address(other.host)}
        if len(hosts) == 1 or _EVERY in hosts:
            return True
        return _EVERY_IPV4 in hosts and not any(":" in host for host in hosts)


def _address(host: str) -> str:
    return "127.0.0.1" if host.lower() == "localhost" else host.lower()
