"""What every template must keep, whatever it shows: files that exist, and nothing inline."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template.loader import get_template

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
INLINE = {
    "a script": r"<script(?![^>]*\bsrc=)(?![^>]*type=\"(?:application/json|application/ld\+json)\")[^>]*>",
    "a style element": r"<style[\s>]",
    "a style attribute": r"<[^>]*\sstyle=",
    "an event handler": r"<[^>]*\son[a-z]+=",
    "a javascript address": r"(?:href|src|action)=\"javascript:",
    "a foreign file": r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?:https?:)?//",
}


def test_there_are_templates() -> None:
    assert TEMPLATES


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
class TestTemplate:
    def test_parses(self, template: Path) -> None:
        assert get_template(str(template.relative_to(ROOT / "templates")))

    def test_has_nothing_that_the_security_policy_blocks(self, template: Path) -> None:
        text = re.sub(
            r"{#.*?#}|{% comment.*?endcomment %}", "", template.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        assert not [what for what, pattern in INLINE.items() if re.search(pattern, text, re.IGNORECASE)]

    def test_static_files_exist(self, template: Path) -> None:
        names = re.findall(r"{% static ['\"]([^'\"]+)['\"]", template.read_text(encoding="utf-8"))
        assert not [name for name in names if finders.find(name) is None]
