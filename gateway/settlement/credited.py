"""The lines of credit notes: what is given back of each line of a month, each with its reason. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from creditgate.rating.settled import LineKey
from creditgate.v1.usage_service_pb2 import CreditedUse
from gateway.settle.explain import yuan

NO_PLACE: Final = -1
"""Where what is given back is not about one use of the log."""


def credited_lines(
    amounts: Mapping[LineKey, int],
    why: tuple[str, str],
    told: Mapping[str, str],
    usage_index: int = NO_PLACE,
    name: str = "",
) -> Iterator[CreditedUse]:
    """Yield ``amounts`` (micro-yuan) in order of line, but for those of nothing.

    ``why`` is the reason in Chinese and in English, with places for what is ``told`` and for the
    line's amount. ``usage_index`` and ``name`` are those of the use it is about.
    """
    zh, en = why
    for key, amount in sorted(amounts.items()):
        if amount:
            yield CreditedUse(
                usage_index=usage_index,
                name=name,
                **key._asdict(),
                amount_micro_yuan=amount,
                explanation_zh=zh.format(**told, amount=yuan(amount)),
                explanation_en=en.format(**told, amount=yuan(amount)),
            )
