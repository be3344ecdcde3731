"""The keys of a gateway's disclosure log and of its receipts of use, fetched once and pinned
from then on.

Compare it, on a way of its own, with the key that the administrator publishes: who pins what
the gateway says at first trusts it for that.
"""

from typing import Final

import httpx

from creditgate.transparency.note import VerifierKey
from sdk.credentials import Profile
from sdk.documents import KeysUnavailable
from sdk.proxies import by_proxy

KEY_PATH: Final = "/log/disclosure/key"
"""Path below the issuer of the disclosure log's verifier key."""

USAGE_KEY_PATH: Final = "/log/usage/key"
"""Path below the issuer of the verifier key of receipts of use and of usage logs."""

_TIMEOUT_SECONDS: Final = 10


def log_key(credentials: Profile) -> VerifierKey:
    """Fetch the disclosure log's key from the profile's gateway. Blocks. Raises
    KeysUnavailable."""
    return _fetched(credentials, KEY_PATH)


def usage_key(credentials: Profile) -> VerifierKey:
    """Fetch the key of receipts of use, likewise."""
    return _fetched(credentials, USAGE_KEY_PATH)


def _fetched(credentials: Profile, path: str) -> VerifierKey:
    url = credentials.issuer.rstrip("/") + path
    try:
        with httpx.Client(
            verify=credentials.tls(), timeout=_TIMEOUT_SECONDS, trust_env=by_proxy(url)
        ) as http:
            answer = http.get(url).raise_for_status()
        return VerifierKey.parse(answer.text)
    except (httpx.HTTPError, ValueError) as error:
        raise KeysUnavailable(
            f"The log's key cannot be read from {url} ({type(error).__name__}); check `issuer`,"
            " `ca` and that the gateway runs."
        ) from error
