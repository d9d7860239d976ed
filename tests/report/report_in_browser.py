"""The report's page in headless Chromium, moved by mouse and keys as a user does: report_in_browser.py WRITE_REPORT [test ...]"""
import os
import subprocess
import sys
import tempfile
import time
import unittest

import chromium

WRITE_REPORT = None
IMAGES = 60


def scores(images):
    """What write_report.cpp draws: (score, defective) of each image."""
    return [(0.4 + 0.6 * i / images, True) if i % 3 == 0 else (0.1 + 0.5 * i / images, False) for i in range(images)]


class Page(unittest.TestCase):
    products = 1
    images = IMAGES

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = os.path.join(cls.folder.name, "report.html")
        subprocess.run([WRITE_REPORT, cls.path, str(cls.images), "240", str(cls.products)], check=True)
        cls.browser = chromium.Chromium(chromium.find())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.folder.cleanup()

    def setUp(self):
        self.browser.window(1440, 900)
        self.browser.open(self.path)

    def tearDown(self):
        self.assertEqual(self.browser.complaints(), [])

    def value(self, expression):
        return self.browser.evaluate(expression)

    def text(self, selector):
        return self.value(f"document.querySelector({selector!r}).textContent")

    def middle(self, selector):
        """Of the element's box in the window, after it was brought into view."""
        box = self.value(f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'center'}});"
                         "const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()")
        return box[0] + box[2] / 2, box[1] + box[3] / 2

    def click(self, selector):
        self.browser.click(*self.middle(selector))

    def focus(self, selector):
        self.value(f"document.querySelector({selector!r}).focus()")

    def choose(self, selector, choice):
        self.value(f"(() => {{ const s = document.querySelector({selector!r}); s.value = {choice!r};"
                   "s.dispatchEvent(new Event('input', {bubbles: true})); })()")

    def shown(self):
        return self.value("[...document.querySelectorAll('.card')].filter(c => !c.hidden).map(c => c.querySelector('bdi').textContent)")

    def counts(self):
        return self.value("Object.fromEntries([...document.querySelectorAll('#counts div')]"
                          ".map(d => [d.children[0].textContent, d.children[1].textContent]))")

    def expected_counts(self, cut, images=None):
        known = scores(images or self.images)
        defective = sum(bad for _, bad in known)
        found = sum(bad and score > cut for score, bad in known)
        false_positives = sum(not bad and score > cut for score, bad in known)
        return {"found": f"{found} of {defective}", "missed": str(defective - found), "false positives": str(false_positives)}

    def cut(self):
        return float(self.value("document.querySelector('#threshold').getAttribute('aria-valuenow')"))

    def drag_threshold_to(self, share):
        """To that share of the histogram's width."""
        start = self.middle("#threshold")
        left, width = self.value("(() => { const b = document.querySelector('#histogram').getBoundingClientRect();"
                                 "return [b.left, b.width]; })()")
        self.browser.drag(start, (left + share * width, start[1]))

    def load_gallery(self):
        self.value("document.querySelector('#gallery').scrollIntoView()")
        self.browser.until("document.querySelectorAll('.picture canvas').length > 3 && "
                           "[...document.querySelectorAll('.picture img')].every(i => i.complete && i.naturalWidth > 0)")

    def heat(self):
        """The mean opacity of a heat canvas, 0 to 1."""
        return self.value("(() => { const c = document.querySelector('.picture canvas');"
                          "const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
                          "let sum = 0; for (let i = 3; i < p.length; i += 4) sum += p[i]; return sum / (p.length / 4) / 255; })()")


class Report(Page):
    def test_data_is_text(self):
        name = "good/<img src=x onerror=alert(1)></script>.png"
        self.assertIn(name, self.shown())
        self.assertEqual(self.value("document.querySelectorAll('main img[src=x], main b b, h1 b').length"), 0)
        self.assertEqual(self.text("h1"), "Drawn & <b>bold</b>")
        self.assertEqual(self.value("(() => { const s = document.createElement('script'); s.textContent = 'window.intruder = 1';"
                                    "document.body.append(s); return window.intruder ?? 0; })()"), 0,
                         "the policy lets a foreign script run")
        self.browser.events.clear()  # the refusal is what was asked for

    def test_opens_sorted_and_with_the_given_decisions(self):
        shown = self.value("[...document.querySelectorAll('.card data')].map(d => Number(d.value))")
        self.assertEqual(len(shown), IMAGES)
        self.assertEqual(shown, sorted(shown, reverse=True))
        self.assertEqual(self.counts(), self.expected_counts(0.5))
        self.assertTrue(self.value("document.querySelector('#reset').disabled"))

    def test_dragging_the_threshold_moves_counts_marks_and_outlines(self):
        self.load_gallery()
        outline = "document.querySelector('.picture path.line-found').getAttribute('d').length"
        before = self.value(outline)
        mark = "[...document.querySelectorAll('.here')].map(m => m.getAttribute('cx'))"
        marks = self.value(mark)
        self.drag_threshold_to(0.3)
        cut = self.cut()
        self.assertLess(cut, 0.35)
        self.assertEqual(self.counts(), self.expected_counts(cut))
        self.assertNotEqual(self.value(mark), marks)
        self.assertIn(f"--sensitivity {0.5 / cut:.4g}", self.text("#threshold-note"))
        self.assertEqual(self.value("document.querySelectorAll('.card .tag.is-bad').length"),
                         sum(score > cut for score, _ in scores(IMAGES)))
        self.load_gallery()
        self.browser.until(f"{outline} > {before}")  # a lower threshold encloses more
        self.drag_threshold_to(5)  # beyond the axis: at its end
        self.assertEqual(self.counts()["false positives"], "0")
        self.assertEqual(self.cut(), float(self.value("document.querySelector('#threshold').getAttribute('aria-valuemax')")))
        self.click("#reset")
        self.assertEqual(self.cut(), 0.5)
        self.assertEqual(self.counts(), self.expected_counts(0.5))

    def test_a_click_into_the_histogram_sets_the_threshold(self):
        x, y = self.middle("#histogram")
        self.browser.click(x, y)
        low, high = (float(self.value(f"document.querySelector('#threshold').getAttribute('aria-value{end}')")) for end in ("min", "max"))
        self.assertAlmostEqual(self.cut(), (low + high) / 2, delta=0.01)

    def test_the_threshold_follows_keys(self):
        self.focus("#threshold")
        self.assertNotEqual(self.value("getComputedStyle(document.activeElement).outlineStyle"), "none")
        high = float(self.value("document.querySelector('#threshold').getAttribute('aria-valuemax')"))
        for key, shift, expected in (("ArrowRight", False, 0.5 + high / 200), ("ArrowLeft", False, 0.5),
                                     ("ArrowUp", True, 0.5 + high / 2000), ("PageDown", False, 0.5 + high / 2000 - high / 10),
                                     ("Home", False, 0), ("ArrowLeft", False, 0), ("End", False, high)):
            self.browser.press(key, shift)
            self.assertAlmostEqual(self.cut(), expected, places=9, msg=key)
            self.assertEqual(self.counts(), self.expected_counts(self.cut()))
        self.assertEqual(self.value("document.querySelector('#threshold').getAttribute('aria-valuetext')"), f"{high:.3f}")

    def test_filters_by_decision_class_and_name(self):
        known = scores(IMAGES)
        for choice, expected in (("bad", sum(s > 0.5 for s, _ in known)), ("good", sum(s <= 0.5 for s, _ in known)),
                                 ("missed", sum(b and s <= 0.5 for s, b in known)), ("alarm", sum(not b and s > 0.5 for s, b in known))):
            self.click(f"[name=decision][value={choice}] + span")
            self.assertEqual(len(self.shown()), expected, choice)
            self.assertTrue(self.text(f"[name=decision][value={choice}] + span").endswith(f" {expected}"), choice)
        self.assertIn("of 60 images", self.text("#shown"))
        # the choice holds while the threshold moves: at the top of the axis nothing is a false alarm
        self.focus("#threshold")
        self.browser.press("End")
        self.assertEqual(self.shown(), [])
        self.assertFalse(self.value("document.querySelector('#none').hidden"))
        self.browser.press("Home")
        self.click("[name=decision][value=all] + span")
        self.choose("#label", "hole")
        self.assertEqual(len(self.shown()), 10)
        self.assertTrue(all(name.startswith("hole/") for name in self.shown()))
        self.choose("#label", 'scratch & "dent"')
        self.assertEqual(len(self.shown()), 10)
        self.choose("#label", "")
        self.focus("#text")
        self.browser.type("HOLE/00")
        self.assertEqual(len(self.shown()), 10)
        self.assertTrue(self.value("document.querySelector('#group').hidden"), "there is one product")

    def test_orders(self):
        self.choose("#order", "name")
        names = self.shown()
        self.assertTrue(names[0].startswith("good/<"))
        self.assertEqual(names[1:], sorted(names[1:]))
        self.choose("#order", "low")
        shown = self.value("[...document.querySelectorAll('.card data')].map(d => Number(d.value))")
        self.assertEqual(shown, sorted(shown))

    def test_the_slider_goes_from_image_to_heatmap(self):
        self.load_gallery()
        half = self.heat()
        self.assertTrue(0.01 < half < 0.9, half)
        self.focus("#tools .heat")
        self.browser.press("Home")
        self.browser.until("document.querySelector('#box .heat').value === '0'")
        time.sleep(0.2)
        self.assertEqual(self.heat(), 0)
        self.browser.press("End")
        time.sleep(0.2)
        self.assertEqual(self.heat(), 1)
        # with the mouse, to the middle
        self.click("#tools .heat")
        time.sleep(0.2)
        self.assertAlmostEqual(self.heat(), half, delta=0.05)

    def test_outlines_can_be_hidden(self):
        self.load_gallery()
        displayed = "[...document.querySelectorAll('#gallery .picture svg')].filter(s => s.style.display !== 'none').length"
        both = self.value(displayed)
        self.click("#tools .truth")
        self.browser.until(f"{displayed} < {both}")
        self.click("#tools .outline")
        self.browser.until(f"{displayed} === 0")

    def test_views_side_by_side(self):
        self.load_gallery()
        self.assertEqual(self.value("document.querySelectorAll('.card:first-child .frame').length"), 1)
        self.click("[name=view][value=apart] + span")
        self.load_gallery()
        self.assertEqual(self.value("document.querySelectorAll('.card:first-child .frame').length"), 3)  # its mask is known

    def test_pictures_are_where_the_window_is(self):
        self.load_gallery()
        loaded = "[...document.querySelectorAll('.card')].map((c, i) => c.querySelector('.picture') ? i : -1).filter(i => i >= 0)"
        self.assertIn(0, self.value(loaded))
        self.assertNotIn(IMAGES - 1, self.value(loaded))
        self.value("document.querySelector('.card:last-child').scrollIntoView()")
        self.browser.until(f"({loaded}).includes({IMAGES - 1})")
        self.browser.until(f"!({loaded}).includes(0)")

    def test_the_gallery_follows_keys(self):
        self.assertEqual(self.value("document.querySelectorAll('#gallery [tabindex=\"0\"]').length"), 1, "one stop for Tab")
        self.focus("#gallery [tabindex='0']")
        at = "[...document.querySelectorAll('.card')].indexOf(document.activeElement.closest('.card'))"
        columns = self.value("getComputedStyle(document.querySelector('#gallery')).gridTemplateColumns.split(' ').length")
        self.assertGreater(columns, 3)
        for key, expected in (("ArrowRight", 1), ("ArrowDown", 1 + columns), ("ArrowLeft", columns), ("ArrowUp", 0), ("ArrowUp", 0),
                              ("PageDown", 3 * columns), ("End", IMAGES - 1), ("ArrowRight", IMAGES - 1), ("Home", 0)):
            self.browser.press(key)
            self.assertEqual(self.value(at), expected, key)
        self.assertNotEqual(self.value("getComputedStyle(document.activeElement).outlineStyle"), "none")

    def test_tab_reaches_everything(self):
        seen = set()
        self.value("document.activeElement.blur()")
        for _ in range(40):
            self.browser.press("Tab")
            seen.add(self.value("(e => e.id || e.name || e.className || e.tagName)(document.activeElement)"))
        for name in ("threshold", "view", "decision", "label", "text", "order", "heat", "outline", "truth", "open"):
            self.assertIn(name, seen)

    def test_the_enlarged_view_follows_keys_and_mouse(self):
        self.load_gallery()
        names = self.shown()
        self.focus("#gallery [tabindex='0']")
        self.browser.press("Enter")
        self.browser.until("document.querySelector('#box').open && document.querySelector('#stage .picture canvas')")
        self.assertEqual(self.text("#big-name"), names[0])
        for key, expected in (("ArrowLeft", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
            self.browser.press(key)
            self.assertEqual(self.text("#big-name"), names[expected])
        size = "document.querySelector('#stage .picture').getBoundingClientRect().width"
        before = self.value(size)
        for key, factor in (("+", 1.5), ("+", 2.25), ("-", 1.5), ("0", 1)):
            self.browser.press(key)
            self.assertAlmostEqual(self.value(size) / before, factor, delta=0.01)
        # the wheel keeps in place what lies under the pointer
        x, y = self.middle("#stage")
        point = ("(() => { const b = document.querySelector('#stage .picture').getBoundingClientRect();"
                 f"return ({x + 60} - b.left) / b.width; }})()")
        share = self.value(point)
        self.browser.wheel(x + 60, y, -600)
        self.browser.until(f"{size} > {2 * before}")
        self.assertAlmostEqual(self.value(point), share, delta=0.01)
        # dragging moves it
        self.browser.drag((x, y), (x - 100, y))
        self.assertAlmostEqual(self.value(point), share + 100 / self.value(size), delta=0.02)
        # arrow keys move it while it is enlarged and has the focus, and go on where not
        self.assertEqual(self.value("document.activeElement.id"), "stage")
        self.browser.press("ArrowRight")
        self.assertEqual(self.text("#big-name"), names[1])
        self.click("#fit")
        self.assertAlmostEqual(self.value(size), before, delta=1)
        # its slider is the gallery's
        self.focus("#box .heat")
        self.browser.press("Home")
        self.assertEqual(self.text("#big-name"), names[1])
        self.assertEqual(self.value("document.querySelector('#tools .heat').value"), "0")
        self.browser.press("Escape")
        self.assertFalse(self.value("document.querySelector('#box').open"))
        self.assertEqual(self.value("document.activeElement.closest('.card').querySelector('bdi').textContent"), names[1],
                         "the focus comes back")

    def test_the_enlarged_view_stays_within_the_filter(self):
        self.click("[name=decision][value=alarm] + span")
        self.load_gallery()
        names = self.shown()
        self.click("#gallery .card:not([hidden]) .open")
        self.browser.until("document.querySelector('#box').open")
        for name in names[1:]:
            self.browser.press("ArrowRight")
            self.assertEqual(self.text("#big-name"), name)
        self.browser.press("ArrowRight")
        self.assertEqual(self.text("#big-name"), names[-1])
        self.assertEqual(self.value("document.querySelector('#next').getAttribute('aria-disabled')"), "true")

    def test_fits_narrow_and_wide_windows_light_and_dark(self):
        grounds = []
        for width in (320, 400, 700, 1440, 2560):
            for dark in (False, True):
                self.browser.window(width, 900, dark)
                self.assertLessEqual(self.value("document.documentElement.scrollWidth"), width, f"{width} wide")
                self.load_gallery()
                if not dark:
                    self.click("#gallery .open")
                    self.browser.until("document.querySelector('#stage .picture canvas')")
                    outside = self.value("[...document.querySelectorAll('#box *')]"
                                         ".filter(e => !e.closest('#stage') && !e.closest('.seg'))"
                                         ".filter(e => { const b = e.getBoundingClientRect();"
                                         "return b.width > 0 && (b.right > innerWidth + 1 || b.bottom > innerHeight + 1); })"
                                         ".map(e => e.id || e.className)")
                    self.assertEqual(outside, [], f"{width} wide")
                    self.browser.press("Escape")
                grounds.append(self.value("getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(set(grounds)), 2)


class SeveralProducts(Page):
    products = 3

    def test_one_axis_for_thresholds_that_differ(self):
        self.assertEqual(self.cut(), 1)
        self.assertEqual(self.counts(), self.expected_counts(0.5))
        self.drag_threshold_to(0.3)
        self.assertEqual(self.counts(), self.expected_counts(0.5 * self.cut()))
        self.assertIn("times that of each product", self.text("#threshold-note"))

    def test_filters_by_product(self):
        self.choose("#group", "product 2")
        self.assertEqual(len(self.shown()), 20)


class Nothing(Page):
    images = 0

    def test_an_empty_page_opens(self):
        self.assertFalse(self.value("document.querySelector('#none').hidden"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: report_in_browser.py WRITE_REPORT [test ...]")
    if not chromium.find():
        print("skipped: no Chromium here (AGPNET_BROWSER, or on Debian: apt-get install chromium)")
        sys.exit(77)
    WRITE_REPORT = sys.argv.pop(1)
    unittest.main(verbosity=2)
