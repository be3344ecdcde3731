"""The key of a gateway's disclosure log, fetched once and pinned from then on.

Compare it, on a way of its own, with the key that the administrator publishes: who pins what
the gateway says at first trusts it for that.
"""

from typing import Final

import httpx

from creditgate.transparency.note import VerifierKey
from sdk.credentials import Profile
from sdk.documents import KeysUnavailable

KEY_PATH: Final = "/log/disclosure/key"
"""Path below the issuer of the disclosure log's verifier key."""

_TIMEOUT_SECONDS: Final = 10


def log_key(credentials: Profile) -> VerifierKey:
    """Fetch the key from the profile's gateway. Blocks. Raises KeysUnavailable."""
    url = credentials.issuer.rstrip("/") + KEY_PATH
    try:
        with httpx.Client(verify=credentials.tls(), timeout=_TIMEOUT_SECONDS) as http:
            answer = http.get(url).raise_for_status()
        return VerifierKey.parse(answer.text)
    except (httpx.HTTPError, ValueError) as error:
        raise KeysUnavailable(
            f"The log's key cannot be read from {url} ({type(error).__name__}); check `issuer`,"
            " `ca` and that the gateway runs."
        ) from error
