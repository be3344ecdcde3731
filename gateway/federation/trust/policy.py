"""Metadata policies: what superiors allow of what an entity says of itself. Pure.

Source: OpenID Federation 1.0, section 6.1: the seven standard operators, how policies of
several superiors combine, and how they are applied. An operator that is not known is passed
over, unless ``metadata_policy_crit`` names it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.federation.trust.statement import EntityStatement, StatementInvalid

Metadata = Mapping[str, Mapping[str, Any]]
_Policy = dict[str, dict[str, dict[str, Any]]]


def resolved_metadata(leaf: EntityStatement, superiors: Sequence[EntityStatement]) -> Metadata:
    """Return the metadata of ``leaf`` with what its superiors state applied.

    ``superiors`` are the subordinate statements of its chain, the anchor's last. Raises
    StatementInvalid where the policies contradict each other or the metadata.
    """
    metadata = {kind: dict(fields) for kind, fields in leaf.metadata.items()}
    if superiors:
        # Section 6.1.4.2: what the immediate superior states goes before policies.
        for kind, fields in superiors[0].metadata.items():
            if kind in metadata:
                metadata[kind] |= fields
    policy: _Policy = {}
    for superior in reversed(superiors):
        _require_understood(superior)
        _merge(policy, superior.metadata_policy)
    for kind, fields in metadata.items():
        for name, operators in policy.get(kind, {}).items():
            _apply(fields, name, operators)
    return metadata


def _require_understood(statement: EntityStatement) -> None:
    # Section 6.1.3.1: an operator named here that is not understood makes the chain invalid.
    if set(statement.metadata_policy_crit or ()) - _MERGES.keys():
        raise StatementInvalid("a policy has a critical operator that is not understood here")


def _merge(policy: _Policy, lower: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    for kind, fields in lower.items():
        for name, operators in fields.items():
            merged = policy.setdefault(kind, {}).setdefault(name, {})
            for operator, value in operators.items():
                merge = _MERGES.get(operator)
                if merge is None:
                    continue
                merged[operator] = merge(merged[operator], value) if operator in merged else value
    for fields in policy.values():
        for operators in fields.values():
            _require_consistent(operators)


def _require_consistent(operators: Mapping[str, Any]) -> None:
    """Check that operators of one parameter, of whichever superiors, may stand together (section
    6.1.3.1: what each may be combined with). Raises StatementInvalid."""
    for name, value in operators.items():
        others = {other: operators[other] for other in _COMBINED[name] if other in operators}
        if not all(_COMBINED[name][other](value, held) for other, held in others.items()):
            raise StatementInvalid("policies of superiors contradict each other")


def _same(upper: Any, lower: Any) -> Any:
    if upper != lower:
        raise StatementInvalid("policies of two superiors contradict each other")
    return upper


def _union(upper: Any, lower: Any) -> list[Any]:
    return [*_listed(upper), *(each for each in _listed(lower) if each not in _listed(upper))]


def _common(upper: Any, lower: Any) -> list[Any]:
    return [each for each in _listed(upper) if each in _listed(lower)]


def _some_common(upper: Any, lower: Any) -> list[Any]:
    common = _common(upper, lower)
    if not common:
        raise StatementInvalid("policies of two superiors leave nothing to choose")
    return common


def _either(upper: Any, lower: Any) -> bool:
    return bool(upper) or bool(lower)


# Section 6.1.3.1, "Merge" of each operator; in the order in which they are applied.
_MERGES: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "value": _same,
    "add": _union,
    "default": _same,
    "one_of": _some_common,
    "subset_of": _common,
    "superset_of": _union,
    "essential": _either,
}


def _within(value: Any, bound: Any) -> bool:
    return all(each in _listed(bound) for each in _listed(value))


def _covers(value: Any, part: Any) -> bool:
    return _within(part, value)


def _never(_value: Any, _other: Any) -> bool:
    return False


# Section 6.1.3.1, "Combination with other operators": what is not named may always be combined.
_COMBINED: Final[Mapping[str, Mapping[str, Callable[[Any, Any], bool]]]] = {
    "value": {
        "add": lambda value, add: value is not None and _covers(value, add),
        "default": lambda value, _: value is not None,
        "one_of": lambda value, one_of: value in _listed(one_of),
        "subset_of": lambda value, bound: value is not None and _within(value, bound),
        "superset_of": lambda value, part: value is not None and _covers(value, part),
    },
    "add": {"one_of": _never, "subset_of": _within},
    "default": {},
    "one_of": {"subset_of": _never, "superset_of": _never},
    "subset_of": {"superset_of": _covers},
    "superset_of": {},
    "essential": {},
}


def _apply(fields: dict[str, Any], name: str, operators: Mapping[str, Any]) -> None:
    """Apply the policy of one parameter (section 6.1.3.1). Raises StatementInvalid."""
    if "value" in operators:
        _set(fields, name, operators["value"])
    if "add" in operators:
        fields[name] = _union(fields.get(name, []), operators["add"])
    if "default" in operators and name not in fields:
        _set(fields, name, operators["default"])
    if (
        "one_of" in operators
        and name in fields
        and fields[name] not in _listed(operators["one_of"])
    ):
        raise StatementInvalid("its metadata is not among what a superior allows")
    if "subset_of" in operators and name in fields:
        fields[name] = _common(fields[name], operators["subset_of"])
    if "superset_of" in operators and name in fields:
        _require_all(operators["superset_of"], fields[name])
    if operators.get("essential") and name not in fields:
        raise StatementInvalid("its metadata lacks what a superior calls essential")


def _set(fields: dict[str, Any], name: str, value: Any) -> None:
    # "value: null" takes the parameter out.
    if value is None:
        fields.pop(name, None)
    else:
        fields[name] = value


def _require_all(wanted: Iterable[Any], held: Any) -> None:
    if any(each not in _listed(held) for each in wanted):
        raise StatementInvalid("its metadata lacks what a superior asks for")


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise StatementInvalid("a policy of sets is applied to what is no array")
    return value
