"""Pictures of the console with the demo's data, light and dark: `make screenshots`.

It plays the demo, signs in as each of its people, and writes what they see to docs/screenshots/.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.processes import free_port
from tests.web.chromium import FLAGS

FOLDER = Path("docs/screenshots")
# Path, whose eyes, name. A path that begins with > is a link found on the page before it.
SHOTS = (
    ("/today", "bob", "today"),
    ("/approvals?view=decided", "cleo", "approvals"),
    (">.queue a.who", "cleo", "approval"),
    ("/payouts", "cleo", "payouts"),
    (">tbody a[href^='/payouts/pay_']", "cleo", "payout"),
    ("/batches", "cleo", "batches"),
    (">tbody a[href^='/batches/bat_']", "cleo", "batch"),
    ("/conversions", "cleo", "conversions"),
    ("/month-end", "cleo", "months"),
    (">tbody a[href^='/month-end/']", "cleo", "month"),
    ("/discrepancies", "cleo", "discrepancies"),
    (">tbody a[href^='/discrepancies/dsc_']", "cleo", "discrepancy"),
    ("/imports", "cleo", "imports"),
    ("/remittances", "cleo", "remittances"),
    ("/advertiser-lists", "cleo", "advertiser-lists"),
    ("/reports", "cleo", "reports"),
    ("/report-schedules", "cleo", "report-schedules"),
    ("/sources", "bob", "sources"),
    (">tbody a[href^='/sources/src_']", "bob", "source"),
    ("/sources/new", "bob", "source-new"),
    ("/receipts", "bob", "receipts"),
    (">tbody a[href^='/receipts/rcp_']", "bob", "receipt"),
    ("/affiliates", "bob", "affiliates"),
    (">tbody a[href^='/affiliates/aff_']", "bob", "affiliate"),
    ("/rules", "bob", "rules"),
    ("/people", "bob", "people"),
    ("/audit?verify=1", "bob", "audit"),
    ("/me", "bob", "me"),
)
# A phone shows the same pages: some are enough to see how they fold.
ON_A_PHONE = {"today", "approval", "month", "discrepancies", "source"}
# Flat colours: a third of the bytes, and the same to the eye.
COLOURS = 64
SIZES = {"": (1280, 900), "-phone": (390, 844)}
_PLAYED = re.compile(r"(\w+)@example\.com\s+(\S+)")


def main() -> int:
    """Write every picture; return 0."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is needed: Debian's package chromium")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _demo() as (url, people), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for scheme in ("light", "dark"):
            for suffix in SIZES:
                if suffix and scheme == "dark":
                    continue
                _shoot(browser, url, people, scheme, suffix)
        browser.close()
    return 0


def _shoot(browser: Browser, url: str, people: dict[str, str], scheme: str, suffix: str) -> None:
    size = SIZES[suffix]
    pages: dict[str, Page] = {}
    for who in {who for _, who, _ in SHOTS}:
        context = browser.new_context(
            base_url=url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = context.new_page()
        page.goto("/sign-in")
        if not suffix:
            _keep(page.screenshot(), FOLDER / f"sign-in-{scheme}.png")
        page.get_by_label("Work email").fill(f"{who}@example.com")
        page.get_by_label("Password").fill(people[who])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/today")
        pages[who] = page
    for path, who, name in SHOTS:
        page = pages[who]
        if path.startswith(">"):
            link = page.locator(path[1:]).first
            if link.count() == 0:
                sys.exit(f"{name}: no such link")
            page.goto(str(link.get_attribute("href")))
        else:
            page.goto(path)
        if not suffix or name in ON_A_PHONE:
            _keep(page.screenshot(), FOLDER / f"{name}-{scheme}{suffix}.png")
    for page in pages.values():
        page.context.close()


def _keep(picture: bytes, path: Path) -> None:
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS).save(path, optimize=True)


@contextmanager
def _demo() -> Iterator[tuple[str, dict[str, str]]]:
    """Play the demo and leave it open; yield its address and its people's passwords."""
    given = os.environ.get("SHOTS_OF")
    if given:
        url, password = given.split(" ")
        yield url, dict.fromkeys(("ada", "bob", "cleo", "mia", "dan"), password)
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PORT": str(port), "VAR_DIR": folder}
        process = subprocess.Popen(
            [sys.executable, "-m", "web.demo"], env=environment, stdout=subprocess.PIPE, text=True
        )
        people: dict[str, str] = {}
        try:
            for line in process.stdout or ():
                if found := _PLAYED.search(line):
                    people[found[1]] = found[2]
                if "Ctrl-C" in line:
                    break
            yield f"http://127.0.0.1:{port}", people
        finally:
            process.terminate()
            process.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
