"""Fetch the pinned browser libraries from the npm registry into static/vendor.

Run it only to change a version:  .venv/bin/python scripts/vendor_assets.py
What it needs: npm, and Chromium with Playwright for Plotly's stylesheet. Plotly writes its rules into a style
element at run time, which a strict content security policy forbids; it leaves that alone where a linked
stylesheet with the same id and the class ``no-inline-styles`` is there. So they are written to a file once.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
#: package -> (version, folder under static/vendor, {file in the package: file here})
PACKAGES = {
    "plotly.js-basic-dist-min": (
        "4.1.1",
        "plotly",
        {"plotly-basic.min.js": "plotly-basic.min.js", "LICENSE": "LICENSE"},
    ),
    "htmx.org": ("2.0.11", "htmx", {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "LICENSE"}),
    "swagger-ui-dist": (
        "5.29.0",
        "swagger-ui",
        {name: name for name in ("swagger-ui-bundle.js", "swagger-ui.css", "LICENSE")},
    ),
}
#: Used by the accessibility test alone, so it stands with the tests and is not served.
TEST_PACKAGES = {"axe-core": ("4.14.1", "axe.min.js")}


def unpack(package: str, version: str, files: dict[str, str], folder: Path) -> None:
    """Write the named files of one package version into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        packed = subprocess.run(
            ["npm", "pack", "--json", f"{package}@{version}"],
            cwd=scratch, check=True, capture_output=True, text=True,
        )  # fmt: skip
        name = Path(json.loads(packed.stdout)[0]["filename"]).name
        with tarfile.open(Path(scratch) / name) as archive:
            for inside, outside in files.items():
                member = archive.extractfile(f"package/{inside}")
                if member is None:
                    raise FileNotFoundError(f"{package} {version} has no {inside}")
                (folder / outside).write_bytes(member.read())
    print(f"{package} {version} -> {folder.relative_to(ROOT)}")


def write_plotly_stylesheet(folder: Path) -> None:
    """The rules that Plotly would insert at run time, as a file."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_content("<div id=chart></div>")
        page.add_script_tag(path=str(folder / "plotly-basic.min.js"))
        rules = page.evaluate(
            """() => [...document.getElementById('plotly.js-style-global').sheet.cssRules]
                     .map(rule => rule.cssText).reverse()"""
        )
        browser.close()
    (folder / "plotly.css").write_text("\n".join(rules) + "\n", encoding="utf-8")
    print(f"plotly.css: {len(rules)} rules")


def main() -> None:
    for package, (version, folder, files) in PACKAGES.items():
        unpack(package, version, files, VENDOR / folder)
    for package, (version, name) in TEST_PACKAGES.items():
        unpack(package, version, {name: name, "LICENSE": "LICENSE"}, ROOT / "tests" / "browser" / "axe")
    write_plotly_stylesheet(VENDOR / "plotly")


if __name__ == "__main__":
    main()
