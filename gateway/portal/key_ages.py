"""Since when a client has had its keys, from the history of the client. Pure.

Keys are registered for as long as they are good, so what tells that one is due to be replaced
is its age. Source: NIST SP 800-57 Part 1 Rev. 5, section 5.3.6, table 1: keys to authenticate
with are used for one to two years; one year here.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from operators.jwks import described_keys, key_thumbprints
from operators.log import Change
from operators.model import Client

REPLACE_SECONDS: Final = 365 * 86_400
"""How old a key should become, in seconds."""


class HeldKey(NamedTuple):
    """A key or certificate a client can authenticate with.

    ``thumbprint`` is that of RFC 7638 for a key, of RFC 8705 for a certificate; ``kid`` and
    ``algorithm`` are "" for a certificate. ``since`` (seconds, UTC) is when it was registered.
    """

    certificate: bool
    thumbprint: str
    kid: str
    algorithm: str
    since: int

    @property
    def replace_at(self) -> int:
        """By when it should be replaced (seconds, UTC)."""
        return self.since + REPLACE_SECONDS


def held_keys(client: Client, versions: Sequence[Change]) -> list[HeldKey]:
    """Return what ``client`` can authenticate with, keys first, each kind oldest first.

    ``versions`` are all versions of it, in order. What was taken away and came back counts
    from when it came back.
    """
    since: dict[str, int] = {}
    for change in versions:
        before = Client.from_document(
            change.document, version=change.version, changed_at=change.changed_at
        )
        there = key_thumbprints(before.jwks) | before.certificate_thumbprints
        since = {each: since.get(each, change.changed_at) for each in there}
    known = client.changed_at
    keys = [
        HeldKey(False, key.thumbprint, key.kid, key.algorithm, since.get(key.thumbprint, known))
        for key in described_keys(client.jwks)
    ]
    certificates = [
        HeldKey(True, each, "", "", since.get(each, known))
        for each in client.certificate_thumbprints
    ]
    return [
        *sorted(keys, key=lambda key: (key.since, key.thumbprint)),
        *sorted(certificates, key=lambda key: (key.since, key.thumbprint)),
    ]
