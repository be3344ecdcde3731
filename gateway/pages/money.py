"""Amounts of money as people read them, exact to the micro-yuan."""

from typing import Final

from gateway.pages.rendering import Language
from gateway.pages.words import said

_MICRO: Final = 1_000_000
_LEAST_DECIMALS: Final = 2


def yuan(micro_yuan: int, language: Language) -> str:
    """Return an amount of micro-yuan in yuan, with as many decimals as it has, at least two."""
    whole, rest = divmod(abs(micro_yuan), _MICRO)
    decimals = f"{rest:06d}".rstrip("0").ljust(_LEAST_DECIMALS, "0")
    amount = f"{'-' if micro_yuan < 0 else ''}{whole:,}.{decimals}"
    return said(language, (f"{amount} 元", f"CNY {amount}"))
