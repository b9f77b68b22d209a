"""Pages in a headless Chromium, which takes its orders over a pipe (DevTools)."""

import base64
import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import tempfile
import time

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_TIMEOUT = 60


def find_chromium():
    """The path of the browser.

    Raises:
        FileNotFoundError: There is none.
    """
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    raise FileNotFoundError(
        f"These tests need a browser, one of {', '.join(_NAMES)}. Received: a machine "
        "without one. Install it with apt-get install chromium."
    )


@contextlib.contextmanager
def chromium():
    """A browser without a window, as `Browser`, which ends with the context."""
    path = find_chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        (in_read, in_write), (out_read, out_write) = _pipe(), _pipe()
        null = os.open(os.devnull, os.O_RDWR)
        arguments = [
            path,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]
        process = os.posix_spawn(
            path,
            arguments,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 1),
                (os.POSIX_SPAWN_DUP2, null, 2),
                # Where the browser reads and writes.
                (os.POSIX_SPAWN_DUP2, in_read, 3),
                (os.POSIX_SPAWN_DUP2, out_write, 4),
            ],
            setpgroup=0,
        )
        for end in (in_read, out_write, null):
            os.close(end)
        try:
            yield Browser(in_write, out_read)
        finally:
            os.close(in_write)
            os.close(out_read)
            # With the processes that it has started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)


class Browser:
    """Opens pages.

    Args:
        commands, answers: ends of pipes, as integers.
    """

    def __init__(self, commands, answers):
        self._commands, self._answers = commands, answers
        self._number, self._unread = 0, b""
        # By session what has happened, as (method, parameters).
        self.events = {}

    def open(self, path, width, height=900):
        """Opens a file.

        Args:
            path: `pathlib.Path`.
            width, height: of the window's inner part, in CSS pixels.

        Returns:
            `OpenPage`, loaded.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        opened = OpenPage(self, session["sessionId"], path)
        for domain in ("Page", "Runtime", "Log", "Network"):
            opened.call(f"{domain}.enable")
        # A window of the browser itself cannot be as narrow as a telephone.
        opened.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        opened.call("Page.navigate", url=path.resolve().as_uri())
        self.wait(lambda: "Page.loadEventFired" in dict(self.events[opened.session]))
        return opened

    def call(self, method, session=None, **parameters):
        """What a method of the DevTools protocol returns."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answers = {}
        self.wait(lambda: self._number in answers, answers)
        answer = answers[self._number]
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait(self, condition, answers=None):
        """Takes what the browser says until a condition holds.

        Args:
            condition: function without arguments.
            answers: dict that receives answers by their numbers, or None.

        Raises:
            TimeoutError: It did not within a minute.
        """
        end = time.monotonic() + _TIMEOUT
        while not condition():
            readable, _, _ = select.select([self._answers], [], [], 1)
            if readable:
                received = os.read(self._answers, 1 << 20)
                if not received:
                    raise RuntimeError("Chromium has ended.")
                *messages, self._unread = (self._unread + received).split(b"\0")
                for message in map(json.loads, messages):
                    if "id" in message:
                        (answers if answers is not None else {})[message["id"]] = (
                            message
                        )
                    else:
                        self.events.setdefault(message.get("sessionId"), []).append(
                            (message["method"], message["params"])
                        )
            elif time.monotonic() > end:
                raise TimeoutError(f"Chromium took longer than {_TIMEOUT} s.")


class OpenPage:
    """A page that is open.

    Args:
        browser: `Browser`.
        session: str, its name there.
        path: of the file.
    """

    def __init__(self, browser, session, path):
        self._browser, self.session, self._path = browser, session, path
        browser.events.setdefault(session, [])

    def call(self, method, **parameters):
        return self._browser.call(method, self.session, **parameters)

    def evaluate(self, expression):
        """The value of a JavaScript expression, as JSON has it."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def mouse(self, kind, x, y, **more):
        """What a hand would do: "mouseMoved", "mousePressed", "mouseWheel" ..."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, selector):
        """Clicks into the middle of an element, once it is scrolled to."""
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def middle(self, selector):
        """Where the middle of an element is in the window, once it is scrolled to."""
        return self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'});"
            "const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )

    def screenshot(self, path, whole=True):
        """Writes a PNG of what is seen, or of the whole page."""
        shown = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole
        )
        pathlib.Path(path).write_bytes(base64.b64decode(shown["data"]))

    def problems(self):
        """Texts of errors and warnings on the console, whoever told them."""
        # What is still on its way comes before the answer.
        self.evaluate("new Promise(done => setTimeout(done, 50))")
        found = []
        for method, told in self._browser.events[self.session]:
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(told["exceptionDetails"]))
            if method == "Runtime.consoleAPICalled" and told["type"] in (
                "error",
                "warning",
                "assert",
            ):
                found.append(json.dumps(told["args"]))
            if method == "Log.entryAdded":
                found.append(told["entry"]["text"])
        return found

    def requests(self):
        """Addresses that were asked for beside the page's own and what is in it."""
        addresses = [
            told["request"]["url"]
            for method, told in self._browser.events[self.session]
            if method == "Network.requestWillBeSent"
        ]
        own = self._path.resolve().as_uri()
        return [
            address
            for address in addresses
            if address != own and not address.startswith("data:")
        ]


def _pipe():
    """Two ends, neither of which is 3 or 4."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved
