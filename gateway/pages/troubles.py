"""Why a page is not shown: few words for people, none that says more than why."""

from typing import Final, Literal

Trouble = Literal["missing", "changed", "unavailable", "closed"]
"""There is no such page; what was sent is not taken; nothing can be told now; who asks may
not see it."""

_STATUS: Final = {"missing": 404, "changed": 409, "unavailable": 503, "closed": 403}


class NotShown(Exception):
    """The page is not shown; ``trouble`` says why, ``status`` is the HTTP status."""

    def __init__(self, trouble: Trouble, status: int = 0) -> None:
        super().__init__(trouble)
        self.trouble: Trouble = trouble
        self.status = status or _STATUS[trouble]
