"""Money is whole micro-yuan: the modules that reckon with it have no fractions at all (G6)."""

import ast
from pathlib import Path

import pytest

from tests.quality.project import ROOT

FRACTIONS = ("float", "round")
MODULES = sorted(
    path for folder in ("settle", "meter") for path in (ROOT / "gateway" / folder).rglob("*.py")
)


def fractions(source: str) -> list[str]:
    """Return where ``source`` leaves the integers: literals, true division, float, round."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=float() | complex()):
                found.append(f"line {node.lineno}: literal {node.value}")
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                found.append(f"line {node.lineno}: true division")
            case ast.Call(func=ast.Name(id=name)) if name in FRACTIONS:
                found.append(f"line {node.lineno}: {name}()")
            case _:
                pass
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_money_is_reckoned_in_integers(module: Path) -> None:
    assert not fractions(module.read_text(encoding="utf-8"))


def test_there_are_money_modules_to_check() -> None:
    assert len(MODULES) > 5


@pytest.mark.parametrize("source", ["x = 0.5", "x = a / b", "x /= 2", "float(a)", "round(a)"])
def test_the_check_sees_fractions(source: str) -> None:
    assert fractions(source)


def test_the_check_lets_integers_pass() -> None:
    assert not fractions("x = (a * 10_000 + b) // c % 7")
