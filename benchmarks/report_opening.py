#!/usr/bin/env python3
"""How large a report is and how quickly it opens: benchmarks/report_opening.py build/tests/report/write_report [--images 2000] [--runs 5]
Draws pictures of 640 pixels with a camera's noise, writes a page of them, and opens it in headless Chromium, each time in a new one."""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/report"))
import chromium

# milliseconds a frame, over 40 moves
MOVES = """new Promise(done => {
  const handle = document.querySelector('#threshold'), start = performance.now();
  let moves = 0;
  const move = () => {
    if (moves === 40) { done((performance.now() - start) / moves); return; }
    handle.dispatchEvent(new KeyboardEvent('keydown', {key: moves++ % 20 < 10 ? 'ArrowRight' : 'ArrowLeft', bubbles: true}));
    requestAnimationFrame(move);
  };
  move();
})"""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("write_report")
parser.add_argument("--images", type=int, default=2000)
parser.add_argument("--runs", type=int, default=5)
options = parser.parse_args()
if not chromium.find():
    sys.exit("no Chromium here (AGPNET_BROWSER, or on Debian: apt-get install chromium)")

with tempfile.TemporaryDirectory() as folder:
    page = os.path.join(folder, "report.html")
    subprocess.run([options.write_report, page, str(options.images), "640"], check=True)
    print(f"{options.images} images, {os.path.getsize(page) / 1e6:.1f} MB")
    rows = {"first paint": [], "whole page read": [], "from a jump to the gallery to its first pictures": [],
            "from one move of the threshold to the next frame": []}
    for _ in range(options.runs):
        with chromium.Chromium(chromium.find()) as browser:
            browser.window(1440, 900)
            browser.open(page)
            rows["first paint"].append(browser.evaluate("performance.getEntriesByType('paint')[0].startTime") / 1e3)
            loaded = browser.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd || performance.now()")
            rows["whole page read"].append(loaded / 1e3)
            start = time.monotonic()
            browser.evaluate("document.querySelector('#gallery').scrollIntoView()")
            browser.until("document.querySelectorAll('.picture canvas').length > 5")
            rows["from a jump to the gallery to its first pictures"].append(time.monotonic() - start)
            rows["from one move of the threshold to the next frame"].append(browser.evaluate(MOVES) / 1e3)
            assert not browser.complaints(), browser.complaints()
    for name, seconds in rows.items():
        print(f"{name}: median {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s")
