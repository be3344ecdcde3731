"""Idempotency keys, as clients choose them."""

import re
from typing import Final

REQUEST_ID_FORM: Final = "1 to 64 visible ASCII characters"
"""What an idempotency key looks like, to be told to who sent another."""
_FORM: Final = re.compile(r"[\x21-\x7e]{1,64}")


def is_request_id(text: str) -> bool:
    """Tell whether ``text`` has the form of an idempotency key."""
    return _FORM.fullmatch(text) is not None
