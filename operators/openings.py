"""Openings: what a party's grants open, each under the names tokens may ask for it by. Pure.

A grant of a method's scope opens that scope. A grant of a managed scope opens every scope
its definition stands for, within both (`ScopeDefinition.narrowed`). A token that names the
method's scope may use every opening of it; one that names the managed scope, only those
that come from a grant of it.

A definition may come to stand for more after a person approved a token that names it. Such
a token names, in the place of the managed scope, each scope of a method through it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from operators.authority import Authority
from operators.model import ScopeGrant


class Opening(NamedTuple):
    """One method scope opened by one grant.

    ``name`` is the scope that was granted; ``grant`` what it gives, as a grant of the
    method's scope.
    """

    name: str
    grant: ScopeGrant

    def fits(self, token_scopes: frozenset[str]) -> bool:
        """Tell whether a token of these scopes (see `approved_names`) may use it."""
        return not token_scopes.isdisjoint(
            (self.name, self.grant.scope, _through(self.name, self.grant.scope))
        )


def openings(authority: Authority, grantee: str, scope: str) -> Iterator[Opening]:
    """Yield the openings of ``scope`` for a party, in order of grant id, in force or not."""
    for grant in authority.grants_of.get(grantee, ()):
        # A definition goes first: should a later release give a method the same name, its
        # grants still open no more than before.
        definition = authority.definitions.get(grant.scope)
        if definition is None:
            if grant.scope == scope:
                yield Opening(scope, grant)
        elif (narrowed := definition.narrowed(grant, scope)) is not None:
            yield Opening(definition.name, narrowed)


def open_names(authority: Authority, grantee: str, now: int) -> frozenset[str]:
    """Return the scopes a token for a party may name at ``now`` (seconds, UTC).

    Both the scopes of methods that are open to it and the managed ones it was granted.
    """
    names: set[str] = set()
    for grant in authority.grants_of.get(grantee, ()):
        definition = authority.definitions.get(grant.scope)
        for scope in (grant.scope,) if definition is None else definition.scopes:
            opened = grant if definition is None else definition.narrowed(grant, scope)
            if opened is not None and opened.in_force(now):
                names |= {grant.scope, scope}
    return frozenset(names)


def stood_for(authority: Authority, names: Iterable[str]) -> frozenset[str]:
    """Return the scopes of methods that the managed ones among ``names`` stand for now."""
    definitions = authority.definitions
    return frozenset(
        scope for name in names if name in definitions for scope in definitions[name].scopes
    )


def approved_names(
    authority: Authority, names: frozenset[str], approved: frozenset[str]
) -> frozenset[str]:
    """Return ``names`` as a token has them whose managed scopes a person approved.

    ``approved`` are the scopes of methods they stood for then: one that stands for more by
    now opens only what it stood for.
    """
    definitions = authority.definitions
    held: set[str] = set()
    for name in names:
        if name not in definitions or definitions[name].scopes <= approved:
            held.add(name)
        else:
            held |= {_through(name, scope) for scope in definitions[name].scopes & approved}
    return frozenset(held)


def _through(name: str, scope: str) -> str:
    # No scope has a space in it: nobody can ask for this, and no grant has such a name.
    return f"{name} {scope}"
