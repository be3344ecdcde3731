"""RFC 8707: which resource a token is asked for; here there is one.

RFC 8693 section 2.1 has ``audience`` beside ``resource``; both are read alike wherever a
client may send them.
"""

from collections.abc import Mapping

from authlib.oauth2 import OAuth2Error


class InvalidTargetError(OAuth2Error):
    """No token can be had here for the resource or audience named (section 2)."""

    error = "invalid_target"


def require_target(asked: Mapping[str, str], audience: str) -> None:
    """Refuse a request for a resource other than ``audience``, the one tokens here are for.

    Raises InvalidTargetError: a client must not take a token for what it is not.
    """
    for name in ("audience", "resource"):
        if asked.get(name, audience) != audience:
            raise InvalidTargetError(
                f"Leave {name} out, or name the audience this server's tokens are for."
            )
