"""What the documents tell people to type exists."""

import re
import subprocess
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def in_code(document: Path, pattern: str) -> set[str]:
    """What the pattern finds in the document's code spans and code blocks."""
    text = document.read_text(encoding="utf-8")
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    return {match for span in code for match in re.findall(pattern, span)}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_commands_exist(document: Path) -> None:
    assert in_code(document, r"\bmake ([a-z][a-z-]*)") <= make_targets()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_management_commands_exist(document: Path) -> None:
    assert in_code(document, r"manage\.py ([a-z_]+)") <= set(get_commands())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    assert not [link for link in links if not (document.parent / link).exists()]


def test_readme_names_the_two_commands() -> None:
    assert in_code(ROOT / "README.md", r"\bmake ([a-z-]+)") >= {"run", "test"}


def test_make_help_lists_every_command_meant_for_people() -> None:
    # These tests run under make themselves, and a make within a make says where it is.
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert {"install", "run", "test", "test-all", "lint", "format", "help"} <= listed
    assert listed <= make_targets()
