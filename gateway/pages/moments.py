"""Instants and spans of time as people read them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from gateway.pages.rendering import Language
from gateway.pages.words import Words, said

_CHINA: Final = timezone(timedelta(hours=8))
# After so many years the Gregorian calendar is the same again.
_CYCLE_YEARS: Final = 400
_CYCLE_SECONDS: Final = 146_097 * 86_400
_UNITS: Final[tuple[tuple[int, Words, Words], ...]] = (
    (86_400, (" 天", " day"), (" 天", " days")),
    (3_600, (" 小时", " hour"), (" 小时", " hours")),
    (60, (" 分钟", " minute"), (" 分钟", " minutes")),
    (1, (" 秒", " second"), (" 秒", " seconds")),
)


def moment(seconds: int, language: Language) -> str:
    """Return an instant: China's time in Chinese, UTC in English."""
    minute = _minute(seconds, language)
    return said(language, (f"{minute}（北京时间）", f"{minute} UTC"))


def period(start: int, until: int, language: Language) -> str:
    """Return a half-open period as a sentence, exactly."""
    first, last = _second(start, language), _second(until, language)
    words = f"自 {first} 起，至 {last} 止（北京时间）。", f"From {first} until {last} (UTC)."
    return said(language, words)


def day(seconds: int, language: Language) -> str:
    """Return the day of an instant, where `moment` counts it."""
    return _written(seconds, language, "%m-%d")


def time_of_day(seconds: int, language: Language) -> str:
    """Return the time of an instant on its `day`."""
    return f"{_at(seconds, language):%H:%M}"


def span(seconds: int, language: Language) -> str:
    """Return a length of time, to the second, in the largest units it fills."""
    parts: list[str] = []
    for unit, one, more in _UNITS:
        number, seconds = divmod(seconds, unit)
        if number:
            parts.append(f"{number}{said(language, one if number == 1 else more)}")
    return " ".join(parts)


def _minute(seconds: int, language: Language) -> str:
    return _written(seconds, language, "%m-%d %H:%M")


def _second(seconds: int, language: Language) -> str:
    if seconds % 60 == 0:
        return _minute(seconds, language)
    return _written(seconds, language, "%m-%d %H:%M:%S")


def _written(seconds: int, language: Language, within_year: str) -> str:
    at = _at(seconds, language)
    return f"{at.year + _CYCLE_YEARS}-{at:{within_year}}"


def _at(seconds: int, language: Language) -> datetime:
    """Return an instant as a date of the cycle before: in China the last hours of 9999 (UTC) are
    in a year that `datetime` has not."""
    return datetime.fromtimestamp(seconds - _CYCLE_SECONDS, _CHINA if language == "zh" else UTC)
