"""What the scheduler answers over HTTP: health, metrics, counts, identity, the API of the operator, and the live page."""

import asyncio
import json
import re
import urllib.error
import urllib.parse
import urllib.request

import pytest
from cluster import IS_STOCK, wait_until
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

pytestmark = pytest.mark.skipif(IS_STOCK, reason="the stock scheduler answers parts of this only with bokeh or prometheus_client")
HTTP_TIMEOUT_S = 10


def get(cluster, path, body=None):
    """Status, content type and text of a page; with a body it is a POST of JSON."""
    request = urllib.request.Request(cluster.http_url(path), headers={"Content-Type": "application/json"})
    if body is not None:
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read().decode()


def get_json(cluster, path, body=None):
    status, content_type, text = get(cluster, path, body)
    assert (status, content_type) == (200, "application/json"), text
    return json.loads(text)


def test_health_and_readiness(client, cluster):
    assert get(cluster, "/health")[::2] == (200, "ok")
    wait_until(lambda: get(cluster, "/ready")[0] == 200, "the graph helper")


def test_metrics_have_dask_names(client, cluster):
    status, _, text = get(cluster, "/metrics")
    assert status == 200
    for name in ("dask_scheduler_workers", "dask_scheduler_clients", "dask_scheduler_tasks"):
        assert f"\n{name}" in text or text.startswith(name)


def test_counts_and_identity(client, cluster):
    future = client.submit(abs, -5)
    assert future.result(timeout=10) == 5
    counts = get_json(cluster, "/json/counts.json")
    assert counts["workers"] == 2 and counts["cores"] == 2
    identity = get_json(cluster, "/json/identity.json")
    assert identity["address"] == cluster.address
    assert len(identity["workers"]) == 2


def test_metrics_of_tasks_have_prefixes(client, cluster):
    def measured():
        return 1

    assert client.submit(measured).result(timeout=10) == 1
    text = get(cluster, "/metrics")[2]
    assert re.search(r'^dask_scheduler_prefix_state_totals_total\{state="memory",task_prefix_name="measured"\} 1$', text, re.MULTILINE)
    assert re.search(r'^dask_scheduler_tasks_compute_seconds_total\{task_prefix_name="measured"\} ', text, re.MULTILINE)
    assert re.search(r"^dask_native_graph_helper_graphs_total [1-9]", text, re.MULTILINE)


def test_metrics_are_what_a_prometheus_parser_accepts(client, cluster):
    families = {}
    for line in get(cluster, "/metrics")[2].splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in families
            families[name] = kind
        elif not line.startswith("#"):
            match = re.fullmatch(r'([a-z_]+)(\{([a-z_]+="[^"]*",?)+\})? (\S+)', line)
            assert match, line
            assert match[1] in families, line
            float(match[4])
    assert all(kind in ("counter", "gauge") for kind in families.values())


def test_counts_have_the_fields_of_dask(client, cluster):
    assert set(get_json(cluster, "/json/counts.json")) == {
        *("bytes", "clients", "cores", "erred", "hosts", "idle", "memory", "processing", "released", "saturated", "tasks"),
        *("unrunnable", "waiting", "waiting_data", "workers", "desired_workers"),
    }


def test_the_api(client, cluster):
    workers = get_json(cluster, "/api/v1/get_workers")
    assert workers["num_workers"] == 2
    assert sorted(worker["name"] for worker in workers["workers"]) == ["a", "b"]
    assert "workers" in get_json(cluster, "/api/v1/adaptive_target")
    assert "idle_since" in get_json(cluster, "/api/v1/check_idle")


def test_the_api_retires_workers(make_cluster):
    from distributed import Client

    cluster = make_cluster(workers=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        address = next(iter(client.scheduler_info()["workers"]))
        assert address in get_json(cluster, "/api/v1/retire_workers", {"workers": [address]})


def test_the_api_chooses_the_workers_that_it_retires(make_cluster):
    from distributed import Client

    cluster = make_cluster(workers=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        assert len(get_json(cluster, "/api/v1/retire_workers", {"n": 1})) == 1
        assert get_json(cluster, "/api/v1/get_workers")["num_workers"] == 1


def test_a_body_that_says_nothing_is_refused(client, cluster):
    for body in ([], {"n": -1}, {"n": "two"}, {"workers": "a"}):
        status, _, text = get(cluster, "/api/v1/retire_workers", body)
        assert status == 400, (body, text)
        assert json.loads(text)["Error"]


def test_a_post_that_is_no_json_is_refused(client, cluster):
    request = urllib.request.Request(cluster.http_url("/api/v1/retire_workers"), data=b"n=1", headers={"Content-Type": "text/plain"})
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S)
    assert refusal.value.code == 415


def test_the_info_pages(client, cluster):
    def fails():
        raise ValueError("<b>bad</b>")

    future = client.submit(fails, key=("failed task", 1))
    wait_until(lambda: future.status == "error", "the task's failure")
    workers = get(cluster, "/info")[2]
    for worker in client.scheduler_info()["workers"]:
        assert worker in workers
        assert get(cluster, f"/info/worker/{urllib.parse.quote(worker, safe='')}.html")[0] == 200
        status, _, logs = get(cluster, f"/info/logs/{urllib.parse.quote(worker, safe='')}.html")
        assert status == 200 and "distributed.worker" in logs
    status, _, task = get(cluster, f"/info/task/{urllib.parse.quote(str(future.key))}.html")
    assert status == 200
    assert "&lt;b&gt;bad&lt;/b&gt;" in task and "<b>bad" not in task
    assert "processing" in task  # its story
    assert "failed task" in get(cluster, "/info/main/exceptions.html")[2]
    assert "Register worker" in get(cluster, "/info/main/logs.html")[2]


def test_snapshots_for_the_live_page_go_on_where_the_last_one_ended(client, cluster):
    def drawn(x):
        return x

    client.gather(client.map(drawn, range(3)))
    first = wait_until(
        lambda: (s := get_json(cluster, "/json/status.json")) and "drawn" in s["stream"]["prefixes"] and s, "the task stream"
    )
    assert len(first["workers"]) == 2 and first["log"]
    again = get_json(cluster, f"/json/status.json?stream={first['stream']['index']}&log={first['log_time']}")
    assert again["stream"]["keys"] == [] and again["log"] == []


def test_a_viewer_is_sent_snapshots_over_a_websocket(client, cluster):
    async def look():
        socket = await websocket_connect(cluster.http_url("/ws/status").replace("http", "ws", 1))
        first = json.loads(await socket.read_message())
        await socket.write_message("next")
        second = json.loads(await socket.read_message())
        socket.close()
        return first, second

    first, second = asyncio.run(look())
    assert first["stream"]["restart"] and not second["stream"]["restart"]
    assert first["address"] == cluster.address


def test_a_websocket_of_another_site_is_refused(client, cluster):
    async def look():
        url = cluster.http_url("/ws/status").replace("http", "ws", 1)
        with pytest.raises(HTTPClientError) as refusal:
            await websocket_connect(HTTPRequest(url, headers={"Origin": "http://evil.example"}))
        assert refusal.value.code == 403

    asyncio.run(look())


def test_a_prefix_and_no_dashboard(make_cluster):
    cluster = make_cluster(options=["--no-dashboard", "--dashboard-prefix", "/user/me"])
    for path in ("/health", "/user/me/health", "/user/me/json/counts.json", "/metrics"):
        assert get(cluster, path)[0] == 200, path
    status, _, text = get(cluster, "/user/me/status")
    assert status == 404 and "switched off" in text


def test_individual_plots_exist(client, cluster):
    plots = get_json(cluster, "/individual-plots.json")
    assert plots["Individual Task Stream"] == "/individual-task-stream"
    for path in plots.values():
        assert get(cluster, path)[0] == 200, path


def test_the_live_page(client, cluster):
    status, content_type, text = get(cluster, "/status")
    assert (status, content_type) == (200, "text/html")
    assert "<html" in text


def test_an_unknown_page_is_not_found(client, cluster):
    assert get(cluster, "/no/such/page")[0] == 404


def test_a_post_from_another_site_is_refused(client, cluster):
    request = urllib.request.Request(
        cluster.http_url("/api/v1/retire_workers"),
        data=b"{}",
        headers={"Content-Type": "application/json", "Origin": "http://evil.example"},
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S)
    assert refusal.value.code == 403
