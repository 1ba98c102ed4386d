"""What the scheduler answers over HTTP: health, metrics, counts, identity, the API of the operator, and the live page."""

import json
import urllib.error
import urllib.request

import pytest
from cluster import IS_STOCK

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
    assert get(cluster, "/ready")[0] == 200


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
