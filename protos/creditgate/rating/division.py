"""The exact division of an amount, such as of a fee among the uses it is of. Pure."""

from collections.abc import Sequence


def divide(amount: int, parts: Sequence[int]) -> tuple[int, ...]:
    """Divide ``amount`` in proportion to ``parts``, exactly, by largest remainder.

    Both are non-negative, and some part is positive. Equal remainders are served in
    the order of the parts; the results sum to ``amount`` (guarantee G6).
    """
    whole = sum(parts)
    amounts = [amount * part // whole for part in parts]
    left = amount - sum(amounts)
    by_remainder = sorted(range(len(parts)), key=lambda i: -(amount * parts[i] % whole))
    for index in by_remainder[:left]:
        amounts[index] += 1
    return tuple(amounts)
