"""For which operators somebody speaks. Pure.

A representative is whom the identity provider vouches for as acting for a company, by its
unified social credit code (统一社会信用代码). An operator is a company with that code, whatever
its state: what is owed and held is its own also once it is suspended or revoked.
"""

from operators.authority import Authority
from operators.model import Operator


def represented(authority: Authority, uscc: str) -> tuple[Operator, ...]:
    """Return the operators that are the company ``uscc``, in order of id; none for ""."""
    if not uscc:
        return ()
    return tuple(
        operator for _, operator in sorted(authority.operators.items()) if operator.uscc == uscc
    )


def represents(authority: Authority, uscc: str, operator_id: str) -> bool:
    """Tell whether who acts for the company ``uscc`` speaks for an operator."""
    operator = authority.operators.get(operator_id)
    return bool(uscc) and operator is not None and operator.uscc == uscc
