"""Opens every page of the built documents in Chromium at 390 and 1280 px and prints what is wrong with it.

Nothing may be wider than the page but tables, code, formulas and pictures of output, which scroll; no script may fail;
nothing may be asked from outside. Every public name must be in the inventory to which other projects link.

    python -m sphinx -b html docs SITE && python tools/check_site.py SITE
"""

import argparse
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import hbm_fast

WIDTHS = (390, 1280)
SCROLLS = "pre, table, .cell_output, .pst-scrollable-table-container, mjx-container, div.math"
HIDDEN = "a.headerlink, .bd-sidebar-secondary"  # until the pointer is near, or a button is pressed
TOO_WIDE = """(scrolls) => {
  const found = document.documentElement.scrollWidth > window.innerWidth ? ["the page itself"] : [];
  for (const element of document.querySelectorAll("main *")) {
    if (element.closest(scrolls) || element.querySelector(scrolls)) continue;
    const box = element.getBoundingClientRect();
    if (box.width > 0 && box.right > window.innerWidth + 1)
      found.push(element.tagName + " " + element.className + ": " + element.textContent.trim().slice(0, 60));
  }
  return found;
}"""


def faults(page: Page, path: Path, width: int) -> Iterator[str]:
    """What is wrong with one page at one width."""
    heard: list[str] = []

    def failed(message: object) -> None:
        heard.append(f"script: {message}")

    def asked(request: object) -> None:
        url = request.url  # type: ignore[attr-defined]
        if not url.startswith(("file:", "data:", "blob:")):
            heard.append(f"asked from outside: {url}")

    page.on("pageerror", failed)
    page.on("request", asked)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    yield from (f"too wide: {text}" for text in page.evaluate(TOO_WIDE, f"{SCROLLS}, {HIDDEN}"))
    yield from heard
    page.remove_listener("pageerror", failed)
    page.remove_listener("request", asked)


def missing_names(site: Path) -> list[str]:
    """Public names that are not in objects.inv."""
    with (site / "objects.inv").open("rb") as file:
        for _ in range(4):
            file.readline()
        listed = {line.split(" ", 1)[0] for line in zlib.decompress(file.read()).decode().splitlines()}
    return [name for name in hbm_fast.__all__ if not name.startswith("__") and f"hbm_fast.{name}" not in listed]


def main() -> None:
    """Print the faults; exit with 1 where there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    site = parser.parse_args().site.resolve()
    found = [f"no page for hbm_fast.{name}" for name in missing_names(site)]
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    pages = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    with sync_playwright() as tool:
        page = tool.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        for width in WIDTHS:
            for path in pages:
                found += [f"{path.relative_to(site)} at {width} px: {text}" for text in faults(page, path, width)]
    print(*found, f"{len(pages)} pages, {len(found)} faults", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
