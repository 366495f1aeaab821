"""Pictures of the pages for the README, taken in Chromium from a server of their own.

Run it with:  make screenshots
It needs no database: the plans are made with the shipped catalog. Small on purpose, one file a page.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "screenshots"
LARGEST_BYTES = 200_000
#: File name -> (address, width, height, theme).
SHOTS = {
    "plan.png": ("/", 1280, 800, "light"),
    "compare.png": ("/compare", 1280, 800, "light"),
}


def serve() -> str:
    """A server of the pages on a free port, in a thread; its address."""
    os.environ.update(HEADROOM_DATA=tempfile.mkdtemp(), DEBUG="1", DJANGO_SETTINGS_MODULE="config.settings")
    sys.path.insert(0, str(ROOT))
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: what is wrong shows on the picture."""

    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def take(page: Page, address: str, target: Path) -> None:
    """One picture of what a person sees first. Raises ValueError where it failed or is large."""
    answer = page.goto(address)
    if answer is None or not answer.ok:
        raise ValueError(f"{address} did not answer")
    page.wait_for_load_state("networkidle")
    page.locator(".main-svg").first.wait_for()
    page.screenshot(path=target)
    size = target.stat().st_size
    if size > LARGEST_BYTES:
        raise ValueError(f"{target.name} has {size:,} bytes; a README wants less than {LARGEST_BYTES:,}")
    print(f"{target.relative_to(ROOT)}: {size:,} bytes")


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    base = serve()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        for name, (address, width, height, theme) in SHOTS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if theme == "dark" else "light",
            )
            take(page, base + address, PICTURES / name)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
