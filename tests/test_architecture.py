"""The architecture as described, checked against the code.

import-linter (in `make lint`) checks which package imports which.  Here: what its contracts cannot say, as
"only the standard library and numpy", "no clock", "only selectors and services touch the ORM".
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APPS = ("planner", "inventory")
CODE = ("config", "planner", "inventory", "headroom_agent", "scripts", "tests")
LONGEST_FILE = 450  # lines; "about 400" with some patience
# The engine's answers depend on its arguments alone.
IMPURE = {
    "os",
    "io",
    "pathlib",
    "shutil",
    "tempfile",
    "socket",
    "subprocess",
    "sqlite3",
    "time",
    "random",
    "urllib",
}
# Where the ORM may be met, by the name of a module or of a package around it.
ORM_PACKAGES = ("models", "selectors", "services", "admin", "migrations", "apps")


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each imported name in full, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides the package it comes from"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize(
    ("folder", "ours"),
    [
        ("planner/engine", ("planner.engine",)),
        ("planner/catalog/facts", ("planner.catalog.facts", "planner.engine")),
        ("planner/contract", ("planner.contract", "planner.catalog.facts", "planner.engine")),
        ("planner/launch", ("planner.launch", "planner.engine")),
        ("inventory/wire", ("inventory.wire",)),
    ],
)
def test_pure_rooms_import_the_standard_library_and_numpy_alone(folder: str, ours: tuple[str, ...]) -> None:
    files = python_files(folder)
    assert files
    strangers = [
        f"{named(file)}:{line} imports {name}"
        for file in files
        for line, name in imports(ast.parse(file.read_text(encoding="utf-8")))
        if name.split(".")[0] not in sys.stdlib_module_names | {"numpy"} and not within(name, ours)
    ]
    assert not strangers, "\n".join(strangers)


@pytest.mark.parametrize("folder", ["planner/engine", "planner/contract"])
def test_no_files_and_no_clock(folder: str) -> None:
    impure = []
    for file in python_files(folder):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        impure += [
            f"{named(file)}:{line} imports {name}"
            for line, name in imports(tree)
            if name.split(".")[0] in IMPURE
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("open", "print", "input") or called.endswith((".today", ".now", ".utcnow")):
                    impure.append(f"{named(file)}:{node.lineno} calls {called}")
    assert not impure, "\n".join(impure)


def may_touch_orm(file: Path) -> bool:
    """Whether a name on the path may use the ORM: `services`, `catalog_services` ..."""
    names = [*file.relative_to(ROOT).parts[1:-1], file.stem]
    return any(name == allowed or name.endswith(f"_{allowed}") for name in names for allowed in ORM_PACKAGES)


def orm_uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Managers and shortcuts that query, by line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_default_manager", "_base_manager"):
            yield node.lineno, f".{node.attr}"
        elif isinstance(node, ast.Name) and node.id in (
            "get_object_or_404",
            "get_list_or_404",
            "transaction",
        ):
            yield node.lineno, node.id


def test_only_selectors_and_services_touch_the_orm() -> None:
    uses = [
        f"{named(file)}:{line} uses {use}"
        for file in python_files(*APPS)
        if not may_touch_orm(file)
        for line, use in orm_uses(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not uses, "\n".join(uses)


def test_the_orm_check_sees_what_it_should() -> None:
    seen = {use for _, use in orm_uses(ast.parse("Host.objects.all(); get_object_or_404(Host); x.items()"))}
    assert seen == {".objects", "get_object_or_404"}
    assert may_touch_orm(ROOT / "planner/catalog/selectors.py")
    assert may_touch_orm(ROOT / "inventory/store/services/recording.py")
    assert not may_touch_orm(ROOT / "planner/plans/page.py")


def test_driver_library_is_met_in_one_file() -> None:
    found = [
        named(file)
        for file in python_files("config", "planner", "inventory")
        if any(within(name, ("pynvml",)) for _, name in imports(ast.parse(file.read_text(encoding="utf-8"))))
    ]
    assert set(found) <= {"inventory/driver/nvml.py"}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        named(file)
        for file in python_files(*CODE)
        if "migrations" not in file.parts
        and (source := file.read_text(encoding="utf-8")).strip()
        and ast.get_docstring(ast.parse(source)) is None
    ]
    assert not silent, f"no docstring at the top: {silent}"


def test_no_rooms_for_leftovers() -> None:
    names = {"utils", "helpers", "common", "misc"}
    found = [
        named(file) for file in python_files(*CODE) if names & {file.stem, *file.relative_to(ROOT).parts}
    ]
    assert not found


def test_files_stay_short() -> None:
    lengths = {
        named(file): len(file.read_text(encoding="utf-8").splitlines())
        for file in python_files(*CODE)
        if "migrations" not in file.parts
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FILE}


def test_nothing_is_left_to_do_later() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "X" * 3)
    found = [
        f"{named(file)}: {word}"
        for file in python_files(*CODE)
        for word in words
        if word in file.read_text(encoding="utf-8").replace("_", " ").split()
        or f"# {word}" in file.read_text(encoding="utf-8")
    ]
    assert not found
