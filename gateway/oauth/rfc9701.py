"""RFC 9701: introspection answers as signed JWTs, for who must be able to show them."""

from collections.abc import Mapping
from typing import Any, Final

MEDIA_TYPE: Final = "application/token-introspection+jwt"
ANSWER_TYPE: Final = "token-introspection+jwt"
"""The ``typ`` of section 5: no access token, and no ID token, can be taken for one."""

_JSON: Final = ("application/json", "application/*", "*/*")


def asks_for_jwt(accept: str) -> bool:
    """Tell whether the header Accept prefers `MEDIA_TYPE` to JSON (RFC 9110 section 12.5.1)."""
    weights = dict(map(_weighed, accept.split(",")))
    wanted = weights.get(MEDIA_TYPE, 0.0)
    plain = next((weights[name] for name in _JSON if name in weights), 0.0)
    return wanted > 0 and wanted >= plain


def _weighed(media_range: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in media_range.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def answer_claims(
    issuer: str, audience: str, now: int, introspection: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the claims of the answer (section 5) for the client ``audience``.

    What was introspected stays in a claim of its own: at the top level sub and exp would
    be those of the answer, and it could be taken for the token.
    """
    return {
        "iss": issuer,
        "aud": audience,
        "iat": now,
        "token_introspection": dict(introspection),
    }
