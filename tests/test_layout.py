"""Who may import whom, which modules there are, and what a plain import costs."""

import ast
import importlib
import importlib.util
import os
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import afsim

# Each package and the packages that it may import from, itself apart.
MAY_IMPORT = {
    "afsim": set[str](),
    "afsim.envs": {"afsim"},
    "afsim.policies": {"afsim"},
    "afsim.experiments": {"afsim", "afsim.envs", "afsim.policies"},
    "afsim.cockpit": {"afsim", "afsim.policies", "afsim.experiments"},
}

# The commands may import from all folders, but only inside functions.
COMMANDS = "afsim.cli"

ROOT = Path(__file__).parents[1]


def package_of(module: str) -> str | None:
    """Return the package of ``MAY_IMPORT`` that a module belongs to, or None for a module of somebody else."""
    holders = [package for package in MAY_IMPORT if f"{module}.".startswith(f"{package}.")]
    return max(holders, key=len, default=None)


def imported_names(node: ast.AST, package: str) -> Iterator[str]:
    """Yield what one statement imports; ``from a import b`` yields both a and a.b, as b may be a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def imports(tree: ast.AST, package: str, *, inside_functions: bool = True) -> Iterator[str]:
    """Yield the modules of afsim that a source imports, with or without the imports that wait for a call."""
    for node in ast.iter_child_nodes(tree):
        yield from (name for name in imported_names(node, package) if package_of(name))
        if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(node, package, inside_functions=inside_functions)


def forbidden_imports(module: str, source: str) -> set[str]:
    """Return what a module imports against the table."""
    package = package_of(module)
    assert package is not None
    names = imports(ast.parse(source), package, inside_functions=module != COMMANDS)
    return {name for name in names if package_of(name) not in MAY_IMPORT[package] | {package}}


def modules_of(package: str) -> dict[str, Path]:
    """Return the modules that lie in a package's folder, as they were imported or installed, by name."""
    folder = Path(importlib.import_module(package).__path__[0])
    return {package if file.stem == "__init__" else f"{package}.{file.stem}": file for file in folder.glob("*.py")}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_the_table_allows(package: str) -> None:
    modules = modules_of(package)
    assert package in modules
    found = {module: forbidden_imports(module, file.read_text("utf-8")) for module, file in modules.items()}
    assert {module: names for module, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("module", "source", "forbidden"),
    [
        ("afsim.lens", "from afsim.errors import AfsimError", set()),
        ("afsim.lens", "from afsim import envs", {"afsim.envs"}),
        ("afsim.lens", "def f():\n    import afsim.policies", {"afsim.policies"}),
        ("afsim.envs.single", "from ..policies import make", {"afsim.policies", "afsim.policies.make"}),
        ("afsim.experiments.table", "import afsim.envs, afsim.policies, numpy", set()),
        ("afsim.cli", "def f():\n    import afsim.experiments", set()),
        ("afsim.cli", "if True:\n    import afsim.experiments", {"afsim.experiments"}),
    ],
)
def test_forbidden_imports_are_seen(module: str, source: str, forbidden: set[str]) -> None:
    assert forbidden_imports(module, source) == forbidden


def test_every_module_is_reached_by_walking_the_package() -> None:
    lying_there = {module for package in MAY_IMPORT for module in modules_of(package)} - {"afsim"}
    walked = {module.name for module in pkgutil.walk_packages(afsim.__path__, "afsim.")}
    assert walked == lying_there
    for module in sorted(walked):
        importlib.import_module(module)


def test_every_package_is_declared_for_the_wheel() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    walked = {module.name for module in pkgutil.walk_packages(afsim.__path__, "afsim.") if module.ispkg}
    assert set(declared) == walked | {"afsim"} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", ["afsim", "afsim.stackset"])
def test_a_plain_import_loads_no_slow_library(module: str) -> None:
    slow = {"torch", "stable_baselines3", "matplotlib", "numba"}
    run = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(Path(afsim.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(run.stdout.split())
    assert module in loaded
    assert slow & loaded == set()
