"""A headless Chromium over its DevTools protocol, with nothing but Python's own library: the browser reads commands from one pipe and
writes answers and events to another, as JSON with a zero byte behind each."""
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find():
    """The browser's path: AGPNET_BROWSER, or the first that is installed; None where there is none."""
    named = os.environ.get("AGPNET_BROWSER")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    def __init__(self, browser):
        self._profile = tempfile.mkdtemp(prefix="agpnet-browser-")
        to_browser, self._commands = os.pipe()
        self._answers, from_browser = os.pipe()

        def join():  # the protocol's ends are 3 and 4; moved up first, so that neither overwrites the other
            high_in, high_out = os.dup(to_browser), os.dup(from_browser)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        arguments = ["--headless", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars",
                     "--disable-dev-shm-usage", f"--user-data-dir={self._profile}", "about:blank"]
        if os.getuid() == 0:  # its sandbox refuses to run as root, as builds in containers do
            arguments.insert(0, "--no-sandbox")
        self._process = subprocess.Popen([browser, *arguments], preexec_fn=join, close_fds=False, start_new_session=True,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self.events = []  # of the page, oldest first
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = None
        self._session = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def close(self):
        os.close(self._commands)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._answers)
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _receive(self):
        while b"\0" not in self._buffer:
            data = os.read(self._answers, 1 << 20)
            if not data:
                raise RuntimeError("the browser has ended")
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _send(self, method, parameters, session=None):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data):]
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def command(self, method, **parameters):
        return self._send(method, parameters, self._session)

    def evaluate(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", str(answer)))
        return answer["result"].get("value")

    def until(self, expression, seconds=30):
        """Waits until the expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"!!({expression})"):
            if time.monotonic() > end:
                raise RuntimeError(f"not true after {seconds} s: {expression}")
            time.sleep(0.02)

    def window(self, width, height, dark=False, scale=1):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, path):
        """Until the whole page is read."""
        self.events.clear()
        self.command("Page.navigate", url="file://" + os.path.abspath(path))
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            event = self._receive()
            if "method" in event:
                self.events.append(event)

    _KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Escape": 27, "Tab": 9, "Home": 36, "End": 35,
             "PageUp": 33, "PageDown": 34, " ": 32}

    def press(self, key, shift=False):
        code = self._KEYS.get(key, ord(key[0].upper()))
        parameters = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        typed = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else None)
        self.command("Input.dispatchKeyEvent", type="keyDown" if typed else "rawKeyDown", **parameters,
                     **({"text": typed} if typed else {}))
        self.command("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def type(self, text):
        self.command("Input.insertText", text=text)

    def _mouse(self, kind, x, y, **more):
        self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, start, end, steps=8):
        self._mouse("mouseMoved", *start)
        self._mouse("mousePressed", *start, button="left", buttons=1, clickCount=1)
        for i in range(1, steps + 1):
            self._mouse("mouseMoved", *(a + (b - a) * i / steps for a, b in zip(start, end)), button="left", buttons=1)
        self._mouse("mouseReleased", *end, button="left", buttons=0, clickCount=1)

    def click(self, x, y):
        self.drag((x, y), (x, y), 0)

    def wheel(self, x, y, delta):
        self._mouse("mouseWheel", x, y, deltaX=0, deltaY=delta)

    def screenshot(self, path, whole=False):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]))

    def complaints(self):
        """What was said on the console as an error or a warning, what was thrown, and what was asked of the network, since open()."""
        found = []
        for event in self.events:
            method, details = event["method"], event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(details["exceptionDetails"].get("exception", {}).get("description", details["exceptionDetails"]["text"]))
            elif method == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert"):
                found.append(" ".join(str(argument.get("value", argument.get("description"))) for argument in details["args"]))
            elif method == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
                found.append(details["entry"]["text"])
            elif method == "Network.requestWillBeSent" and not details["request"]["url"].startswith(("file:", "data:", "about:")):
                found.append("asked the network for " + details["request"]["url"])
        return found
