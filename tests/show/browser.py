"""A headless Chromium, driven over the W3C WebDriver protocol, which chromedriver speaks: JSON over HTTP, so that no package is needed."""

import base64
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
)
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Up": "\ue013", "Down": "\ue015", "Left": "\ue012", "Right": "\ue014", "Tab": "\ue004"}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str | None:
    """What is not installed, or None."""
    if shutil.which("chromedriver") is None:
        return "needs chromedriver"
    return None if any(map(shutil.which, BROWSERS)) else "needs Chromium or Chrome"


class Browser:
    """A session. ``profile`` is an empty folder of its own."""

    def __init__(self, profile: Path, width: int = 1400, height: int = 900) -> None:
        self._driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._driver.stdout is not None
        port = next(found[1] for line in self._driver.stdout if (found := re.search(r"successfully on port (\d+)", line)))
        self._at = f"http://127.0.0.1:{port}/session"
        arguments = [*ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        if hasattr(os, "getuid") and os.getuid() == 0:
            arguments.append("--no-sandbox")
        binary = next(path for name in BROWSERS if (path := shutil.which(name)))
        options = {"goog:chromeOptions": {"args": arguments, "binary": binary}, "goog:loggingPrefs": {"browser": "ALL"}}
        try:
            self._at += "/" + self._ask("POST", "", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        except BaseException:
            self._driver.kill()
            raise

    def _ask(self, method: str, path: str, body: object = None) -> dict | list | str | None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._at + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def close(self) -> None:
        """End the session and the driver."""
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(10)
            self._driver.stdout.close()

    def open(self, path: Path) -> None:
        """Load a file."""
        self._ask("POST", "/url", {"url": path.resolve().as_uri()})

    def run(self, script: str, *arguments: object) -> object:
        """What this JavaScript returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, *arguments: object) -> object:
        """What this JavaScript hands to ``done``."""
        script = f"const done = arguments[arguments.length - 1]; {script}"
        return self._ask("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def click(self, selector: str, times: int = 1) -> None:
        """Click the middle of the first element that the selector finds, as a mouse does, once what was asked for before is drawn."""
        middle = "const r = document.querySelector(selector).getBoundingClientRect(); done([r.x + r.width / 2, r.y + r.height / 2])"
        drawn = f"const selector = arguments[0]; requestAnimationFrame(() => setTimeout(() => {{ {middle} }}, 0))"
        self.click_at(*self.wait(drawn, selector), times)

    def click_at(self, x: float, y: float, times: int = 1) -> None:
        """Click at a place of the page. How many clicks are one is said, not measured: a double click is one on a slow machine too."""
        mouse = {"x": round(x), "y": round(y)}
        self._mouse({"type": "mouseMoved", **mouse})
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self._mouse({"type": kind, "button": "left", "clickCount": count, **mouse})

    def _mouse(self, event: dict) -> None:
        self._ask("POST", "/goog/cdp/execute", {"cmd": "Input.dispatchMouseEvent", "params": event})

    def press(self, *keys: str) -> None:
        """Press keys, by their characters or their names."""
        strokes = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def dark(self, on: bool) -> None:
        """Prefer a dark page."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        self._ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}})

    def console(self) -> list[str]:
        """What the console has said since the last time."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path: Path) -> None:
        """Write what is seen to a PNG."""
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))
