"""Cookies that pages keep in a browser for a while: this host's alone, out of scripts' reach.

RFC 6265bis section 4.1.3.2: names begin with ``__Host-``.
"""

from starlette.responses import Response


def keep(response: Response, name: str, value: str, seconds: int) -> Response:
    """Keep ``value`` in the browser for ``seconds``, and return ``response``."""
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax"
    )
    return response


def drop(response: Response, name: str) -> Response:
    """Take a cookie away again, and return ``response``."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
    return response
