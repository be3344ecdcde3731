"""The administration policy: whether widening authority takes two people. One an installation."""

from typing import Final

from operators.kept import Kept

ADMINISTRATION_POLICY: Final = "administration_policy"
POLICY_ID: Final = "installation"


class AdministrationPolicy(Kept):
    """How authority is changed.

    Where ``guarded``, what widens authority is a proposal until a second person approves
    it, and dangerous actions need a fresh, strong sign-in. Where there is no policy yet,
    the default stands: open, every administrator acts alone.
    """

    guarded: bool = False
