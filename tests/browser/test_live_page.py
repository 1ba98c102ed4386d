"""The live page in a real Chromium: it draws what happens, reports no errors, and stays light with a large cluster.

Skipped where there is no Chromium. DASK_NATIVE_SCREENSHOTS names a folder that takes pictures of what the tests saw.
"""

import asyncio
import os
import pathlib
import sys

import chromium
import pytest
import tornado.httpserver
import tornado.netutil
from large_cluster import LargeCluster

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "compat"))
from cluster import Cluster

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed (apt install chromium)")


async def picture(page, name):
    if folder := os.environ.get("DASK_NATIVE_SCREENSHOTS"):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        await page.screenshot(pathlib.Path(folder, f"{name}.png"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), workers=2)
    yield cluster
    cluster.end()


@pytest.fixture(scope="module")
def results(cluster):
    """Two kinds of tasks that were computed and one that failed, kept by a client."""
    from distributed import Client, wait

    def double(x):
        return 2 * x

    def divide(x):
        return 1 / x

    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        futures = [*client.map(double, range(20)), client.submit(divide, 0)]
        wait(futures)
        yield futures


async def painted(page, selector):
    """Whether anything is drawn on the canvas."""
    return await page.wait_for(
        f"""(() => {{
          const canvas = document.querySelector("{selector} canvas");
          if (!canvas || !canvas.width) return false;
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          return data.some((value, i) => i % 4 === 3 && value > 0);
        }})()"""
    )


@pytest.mark.parametrize("dark", [False, True])
def test_the_status_page_shows_workers_progress_and_the_task_stream(cluster, results, tmp_path, dark):
    async def look():
        async with chromium.Page(tmp_path, dark=dark) as page:
            await page.open(cluster.http_url("/status"))
            await page.wait_for("document.querySelector('#link')?.className === 'link live'")
            await page.wait_for("document.querySelectorAll('.table .row').length >= 2 && document.body.textContent.includes('running')")
            await page.wait_for(
                "[...document.querySelectorAll('.progress .name')].map(n => n.textContent).sort().join() === 'divide,double'"
            )
            assert "20 / 20" in await page.evaluate("document.querySelector('.progress').textContent")
            assert await painted(page, "section[aria-label='Task stream']")
            await picture(page, "status-dark" if dark else "status")
            assert page.errors == []

    asyncio.run(look())


@pytest.mark.parametrize(
    "name", ["task-stream", "progress", "workers", "workers-memory", "cluster-memory", "cpu", "compute-time-per-key", "scheduler-log"]
)
def test_a_page_of_its_own_shows_one_pane(cluster, results, tmp_path, name):
    async def look():
        async with chromium.Page(tmp_path, size=(700, 400)) as page:
            await page.open(cluster.http_url(f"/individual-{name}"))
            await page.wait_for("document.querySelectorAll('.pane').length === 1")
            await page.wait_for("document.querySelector('#link').className === 'link live'")
            assert await page.evaluate("getComputedStyle(document.querySelector('header')).display") == "none"
            await picture(page, name)
            assert page.errors == []

    asyncio.run(look())


def test_a_page_without_websocket_polls_and_draws_a_thousand_workers(tmp_path):
    async def look():
        large = LargeCluster()
        [listener] = tornado.netutil.bind_sockets(0, "127.0.0.1")
        tornado.httpserver.HTTPServer(large.application()).add_socket(listener)
        async with chromium.Page(tmp_path) as page:
            await page.open(f"http://127.0.0.1:{listener.getsockname()[1]}/status")
            await page.wait_for("document.querySelector('#link')?.className === 'link polling'", timeout_s=60)
            await page.wait_for("document.querySelectorAll('.table .row').length > 0", timeout_s=60)
            async with asyncio.timeout(60):
                await large.wait_for_polls(4)
            # Only the rows in view are in the document.
            assert await page.evaluate("document.querySelectorAll('.table .row').length") < 60
            assert await page.evaluate("document.querySelector('.table .rows').style.height") == "26000px"
            assert await painted(page, "section[aria-label='Task stream']")
            await picture(page, "large")
            # The WebSockets that the server refused are the only errors.
            assert [error for error in page.errors if "ws/status" not in error] == []

    asyncio.run(look())
