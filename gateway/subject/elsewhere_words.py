"""What is said of changes of consents that have to do with another region."""

from collections.abc import Mapping
from typing import Final

from consent.part_names import PartTold
from consent.states import EXPIRED, GRANTED, REVOKED
from gateway.pages.words import Words

KEPT_ELSEWHERE: Final[Mapping[int, Words]] = {
    GRANTED: (
        "另一地区出示了贵单位在那里给出的授权凭证",
        "Another region showed the receipt of a consent that you gave there",
    ),
    REVOKED: (
        "授权已在保管它的地区终止",
        "The consent was ended in the region that keeps it",
    ),
    EXPIRED: (
        "授权已在保管它的地区到期",
        "The consent's time was over in the region that keeps it",
    ),
}
"""Of a consent that another region keeps, by the state that this gateway wrote down."""


def taken_back_words(part: PartTold) -> Words:
    """Return what is said of the part of a consent that was taken back in a region."""
    region = part.region.removeprefix("https://")
    return (
        f"贵单位在另一地区（{region}）撤回了授权：该地区提供的部分就此终止",
        f"Your company revoked it in another region ({region}): what that gave under it has ended",
    )
