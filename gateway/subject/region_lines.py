"""What a page says of copies that another region's operators hold under a consent kept there."""

from consent.removals import Removal
from gateway.pages.moments import moment
from gateway.pages.rendering import Language
from gateway.pages.words import Words, said
from gateway.subject.lines import RemovalLine


def region_removal_line(removal: Removal, language: Language) -> RemovalLine:
    """Return what became of the duty of a region.

    It has a word once its operator has, and whether that is late the region that keeps the consent
    tells: its operator may hold what other regions gave it for longer.
    """
    deadline = moment(removal.deadline, language)
    words: Words = (
        f"这份授权由另一地区的网关保管。该地区的机构从本网关取得的结果，须在 {deadline}前处理完毕，再由该地区转告；"
        "目前尚未收到。是否逾期，见该地区网关的页面。",
        f"Another region keeps this consent. What its operator received from this gateway must be gone"
        f" by {deadline}; that region passes the word on, and has not yet. Whether it is late you see"
        " on that region's pages.",
    )
    if removal.removed_at is not None:
        gone = moment(removal.removed_at, language)
        words = (
            f"该地区已转告：其机构从本网关取得的结果，至 {gone}已处理完毕。",
            f"That region has passed on that what its operator received from this gateway was gone"
            f" by {gone}.",
        )
    return RemovalLine(said(language, words), overdue=False)
