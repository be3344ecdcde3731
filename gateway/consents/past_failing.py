"""Dealing with what a log tells, past what cannot be dealt with now."""

from collections.abc import Callable, Iterable


class PastFailing:
    """Does ``deal`` once with each that is numbered, in order, by its id.

    Where it fails for one, that is tried again behind the others: none of them waits for it, and
    after one failure there is no other before the next call. Calls block; one thread's own.
    """

    def __init__(self, deal: Callable[[str], object]) -> None:
        self._deal = deal
        self._come_to = 0
        self._left: dict[int, str] = {}

    def begin(self, done: int) -> int:
        """Return the number behind which `some` goes on, all up to ``done`` being dealt with."""
        self._come_to = max(self._come_to, done)
        self._left = {number: each for number, each in self._left.items() if number > done}
        return self._come_to

    @property
    def done(self) -> int:
        """The number up to which all are dealt with."""
        return min(self._left) - 1 if self._left else self._come_to

    def some(
        self, numbered: Iterable[tuple[int, str | None]], stopping: Callable[[], bool]
    ) -> bool:
        """Deal with the next, None for those that nothing is done about, until ``stopping``, then
        with the first of those left; tell whether others are. Raises what ``deal`` raises."""
        for number, each in numbered:
            if stopping():
                return False
            self._come_to = number
            if each is not None:
                self._try(number, each)
        if self._left and not stopping():
            number = next(iter(self._left))
            self._try(number, self._left.pop(number))
        return bool(self._left)

    def _try(self, number: int, each: str) -> None:
        try:
            self._deal(each)
        except Exception:
            self._left[number] = each
            raise
