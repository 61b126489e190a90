"""Opens HTML pages in headless Chromium, wide and narrow, light and dark, and says what is wrong with them.

    python tests/report/pages.py PAGE.html ... [--site] [--axe AXE.min.js] [--chromium PROGRAM] [--pictures FOLDER]

A page fails if something lies beside the window, a text of a chart is cut off, axe-core finds a serious or critical
fault, or a request leaves the page. Pages of a site (--site) may load files beside them and scroll code sideways. Needs
`pip install playwright`, Chromium of the system, and axe-core (`npm pack axe-core`; or TFCOMPRESS_AXE names its file).
"""

import argparse
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator

WIDTHS = (1280, 500)  # pixels
SCHEMES = ("light", "dark")
MOST = 12  # faults told of a view
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

# What lies outside of the window and can't be scrolled to within the page, and charts' texts outside of their drawing.
OUTSIDE = """isSite => {
  const width = window.innerWidth, found = [], beside = new Set();
  const words = node => (node.textContent || '').trim().replace(/\\s+/g, ' ').slice(0, 40);
  const told = node => `${node.tagName.toLowerCase()} "${words(node)}"`;
  const scrolls = node => ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(node).overflowX);
  const held = node => {
    for (let up = node.parentElement; up && up !== document.body; up = up.parentElement) if (scrolls(up)) return true;
    return false;
  };
  // A drawer of a site waits beside the window until it is opened.
  const isDrawn = node => {
    for (let up = node; up; up = up.parentElement) if (getComputedStyle(up).position === 'fixed') return true;
    return false;
  };
  if (document.documentElement.scrollWidth > width)
    found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  for (const node of document.body.querySelectorAll('*')) {
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    if (!box.width || style.visibility === 'hidden' || style.clipPath !== 'none') continue;
    const isBeside = box.right > width + 0.5 || box.left < -0.5;
    if (isBeside && !held(node) && !(isSite && isDrawn(node))) beside.add(node);
    if (beside.has(node) && !beside.has(node.parentElement))
      found.push(`${told(node)} reaches from ${Math.round(box.left)} to ${Math.round(box.right)} px`);
    const isWider = node.clientWidth && node.scrollWidth > node.clientWidth + 1;
    if (!isSite && isWider && scrolls(node)) found.push(`${told(node)} hides a part of its ${node.scrollWidth} px`);
    if (node.tagName === 'text') {
      const all = node.ownerSVGElement.getBoundingClientRect();
      if (box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 1 || box.bottom > all.bottom + 1)
        found.push(`${told(node)} is cut off by its drawing`);
    }
  }
  return found;
}"""
FAULTS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter(fault => ['serious', 'critical'].includes(fault.impact))
  .map(fault => `${fault.id}: ${fault.help}; ${fault.nodes.length} times, first ${fault.nodes[0].html.slice(0, 120)}`)
"""


def chromium() -> str | None:
    """Returns the path of the system's Chromium, or None."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def faults_of(browser, page: pathlib.Path, axe: str, is_site: bool, pictures: pathlib.Path | None) -> Iterator:
    """Yields (view, faults) of a page for each width and colour scheme."""
    for width in WIDTHS:
        for scheme in SCHEMES:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            context.set_default_timeout(120_000)  # for a busy machine
            asked = _closed(context, page, is_site)
            tab = context.new_page()
            tab.goto(page.as_uri(), wait_until="load")
            faults = tab.evaluate(OUTSIDE, is_site)
            tab.evaluate(axe)
            faults += tab.evaluate(FAULTS) + [f"asks for {address}" for address in asked]
            if pictures is not None:
                tab.screenshot(path=pictures / f"{page.stem}-{width}-{scheme}.png", full_page=True)
            context.close()
            yield f"{page.parent.name}/{page.name}, {width} px, {scheme}", faults


def _closed(context, page: pathlib.Path, is_site: bool) -> list[str]:
    """Stops every request that leaves the page; returns the list that their addresses come to."""
    asked: list[str] = []

    def let_pass(route):
        address = route.request.url
        if address == page.as_uri() or address.startswith("data:") or (is_site and address.startswith("file:")):
            route.continue_()
        else:
            asked.append(address)
            route.abort()

    context.route("**/*", let_pass)
    return asked


def main(arguments: list[str]) -> int:
    """Checks the pages; returns 0 if all are right, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--site", action="store_true", help="pages may load files beside them and scroll parts")
    parser.add_argument("--axe", default=os.environ.get("TFCOMPRESS_AXE"), help="axe.min.js of axe-core")
    parser.add_argument("--chromium", default=chromium(), help="program of the browser")
    parser.add_argument("--pictures", type=pathlib.Path, help="folder for a picture of each view")
    values = parser.parse_args(arguments)
    if not values.axe or not values.chromium:
        parser.error("needs Chromium (apt-get install chromium) and --axe=axe.min.js (npm pack axe-core)")
    from playwright.sync_api import sync_playwright

    if values.pictures is not None:
        values.pictures.mkdir(parents=True, exist_ok=True)
    axe, passed, failed = pathlib.Path(values.axe).read_text(encoding="utf-8"), 0, 0
    with sync_playwright() as driver:
        # Without a sandbox, which root and containers have not; the pages are our own.
        browser = driver.chromium.launch(executable_path=values.chromium, args=["--no-sandbox"])
        for page in values.pages:
            for view, faults in faults_of(browser, page.resolve(), axe, values.site, values.pictures):
                passed, failed = passed + (not faults), failed + bool(faults)
                for fault in list(dict.fromkeys(faults))[:MOST]:
                    print(f"{view}: {fault}")
        browser.close()
    print(f"pages: {passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
