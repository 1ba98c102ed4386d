"""A headless Chromium, driven over its debugging protocol with tornado's WebSocket client (tornado comes with distributed)."""

import asyncio
import base64
import json
import pathlib
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE

from tornado.websocket import websocket_connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
START_TIMEOUT_S = 60
CALL_TIMEOUT_S = 60
LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")


class Page:
    """One page. `errors` gathers exceptions of its scripts, its console.error lines and what could not be loaded."""

    def __init__(self, folder, size=(1400, 1000), dark=False):
        self.folder = pathlib.Path(folder)
        self.size = size
        self.dark = dark
        self.errors = []
        self._answers = {}
        self._number = 0

    async def __aenter__(self):
        command = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command += [
            "--remote-debugging-port=0",
            f"--user-data-dir={self.folder}",
            f"--window-size={self.size[0]},{self.size[1]}",
            "about:blank",
        ]
        self._process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
        async with asyncio.timeout(START_TIMEOUT_S):
            while not (listening := LISTENING.search(await self._process.stderr.readline())):
                assert not self._process.stderr.at_eof(), "Chromium ended"
        self._drain = asyncio.create_task(self._process.stderr.read())
        self._socket = await websocket_connect(listening[1].decode(), max_message_size=64 << 20)
        self._reader = asyncio.create_task(self._read())
        self._session = None
        target = await self.call("Target.createTarget", url="about:blank")
        self._session = (await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Emulation.setDeviceMetricsOverride", width=self.size[0], height=self.size[1], deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        return self

    async def __aexit__(self, *_):
        self._reader.cancel()
        self._socket.close()
        self._process.terminate()
        await self._process.wait()
        await self._drain

    async def _read(self):
        while (text := await self._socket.read_message()) is not None:
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]["exceptionDetails"]))
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(json.dumps(message["params"]["entry"]))
            elif message["method"] == "Runtime.consoleAPICalled" and message["params"]["type"] == "error":
                self.errors.append(json.dumps(message["params"]["args"]))

    async def call(self, method, **params):
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        await self._socket.write_message(json.dumps(message))
        async with asyncio.timeout(CALL_TIMEOUT_S):
            result = await answer
        if "error" in result:
            raise RuntimeError(f"{method}: {result['error']}")
        return result["result"]

    async def open(self, url):
        await self.call("Page.navigate", url=url)

    async def evaluate(self, expression, timeout_s=CALL_TIMEOUT_S):
        async with asyncio.timeout(timeout_s):
            result = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    async def wait_for(self, expression, timeout_s=30):
        """Waits until the expression is true in the page."""
        look = f"const look = () => {{ const value = {expression}; value ? done(value) : requestAnimationFrame(look); }}; look();"
        return await self.evaluate(f"new Promise(done => {{ {look} }})", timeout_s)

    async def move_mouse(self, x, y):
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    async def screenshot(self, file):
        picture = await self.call("Page.captureScreenshot", format="png")
        pathlib.Path(file).write_bytes(base64.b64decode(picture["data"]))
