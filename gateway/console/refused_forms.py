"""What a page tells of its form that was refused: an HTTP status, and what to mend in which field."""

from collections.abc import Mapping
from typing import Final

from creditgate.plain_text import is_hidden_in
from creditgate.refusal import Refused, StatusCode, Violation, reason_name
from gateway.console.visit import Refusal
from gateway.console.words import NOT_DONE, REFUSED
from gateway.pages.rendering import Language
from gateway.pages.words import Words, said

_HTTP: Final[Mapping[StatusCode, int]] = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.FAILED_PRECONDITION: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
}
# The forms call either of these the reason.
_REASONS: Final = frozenset({"reason", "note"})


def refusal_of(refused: Refused, sent: Mapping[str, str], language: Language) -> Refusal | None:
    """Return what to tell of a form with the fields ``sent``; None of what the page cannot tell."""
    words = REFUSED.get(reason_name(refused.reason))
    if words is None:
        return None
    faults = dict.fromkeys(_fault(violation, sent) for violation in refused.violations)
    known = [said(language, each) for each in faults if each is not None]
    told = said(language, NOT_DONE).format("; ".join(known)) if known else said(language, words)
    return Refusal(_HTTP[refused.status], told)


def _fault(violation: Violation, sent: Mapping[str, str]) -> Words | None:
    """Return how to mend what is wrong with a field; None of one that no person fills in."""
    if violation.field.partition(".")[0] == "reach":
        return ("请选择要停止的机构或目录项", "choose the operator or the item to stop")
    if violation.field not in _REASONS:
        return None
    reason = sent.get("reason", "")
    if not reason.strip():
        return ("请填写理由，只有空格不算", "give a reason; blanks alone are none")
    if is_hidden_in(reason):
        return (
            "理由中有看不见的字符（如改变文字方向的），请删去或重新手工输入",
            "the reason has characters that are not seen, such as those that turn the direction of"
            " text; take them out, or type it anew",
        )
    return ("理由太长，最多 500 字", "the reason is too long: 500 characters at most")
