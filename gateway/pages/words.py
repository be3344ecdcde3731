"""Words in the languages the pages speak."""

from collections.abc import Iterable

from gateway.pages.rendering import Language

Words = tuple[str, str]
"""The same in Chinese and in English."""


def said(language: Language, words: Words) -> str:
    """Return the words of ``language``."""
    return words[0] if language == "zh" else words[1]


def joined(parts: Iterable[str], language: Language) -> str:
    """Return ``parts`` as a list within a sentence."""
    return ("、" if language == "zh" else ", ").join(parts)
