"""Client.upload_file: modules that graphs and tasks import."""

import os
import signal
import zipfile

import pytest
from cluster import IS_STOCK, wait_until
from distributed import SchedulerPlugin


def write_module(folder, name, answer):
    path = folder / f"{name}.py"
    path.write_text(f"class Thing:\n    def __init__(self, x):\n        self.x = x\n\ndef answer(x=None):\n    return {answer!r}\n")
    return str(path)


def answer_of(name):
    return __import__(name).answer()


def from_module(folder, name, monkeypatch):
    """The function of a module that only this test's process has; it pickles by reference."""
    monkeypatch.syspath_prepend(str(folder))
    return __import__(name)


def test_tasks_import_an_uploaded_module(client, tmp_path):
    client.upload_file(write_module(tmp_path, "upload_simple", 1))
    assert client.submit(answer_of, "upload_simple", pure=False).result() == 1


def test_graphs_name_objects_of_an_uploaded_module(client, tmp_path, monkeypatch):
    client.upload_file(write_module(tmp_path, "upload_named", 2))
    module = from_module(tmp_path, "upload_named", monkeypatch)
    assert client.submit(module.answer, module.Thing(3), pure=False).result() == 2


def test_a_later_upload_of_the_same_name_replaces_the_earlier(client, tmp_path):
    client.upload_file(write_module(tmp_path, "upload_again", "first"))
    assert client.submit(answer_of, "upload_again", pure=False).result() == "first"
    client.upload_file(write_module(tmp_path, "upload_again", "second, and longer"))
    assert client.submit(answer_of, "upload_again", pure=False).result() == "second, and longer"


def test_a_module_is_uploaded_again_and_again(client, tmp_path):
    for version in range(20):
        client.upload_file(write_module(tmp_path, "upload_often", "v" * version))
        assert client.submit(answer_of, "upload_often", pure=False).result() == "v" * version


def test_an_uploaded_archive(client, tmp_path, monkeypatch):
    write_module(tmp_path, "upload_zipped", 4)
    archive = tmp_path / "upload.zip"
    with zipfile.ZipFile(archive, "w") as z:
        z.write(tmp_path / "upload_zipped.py", "upload_zipped.py")
    client.upload_file(str(archive))
    module = from_module(tmp_path, "upload_zipped", monkeypatch)
    assert client.submit(module.answer, pure=False).result() == 4


def test_a_module_that_cannot_be_imported_raises_at_the_client(client, tmp_path):
    path = tmp_path / "upload_broken.py"
    path.write_text("raise ValueError('this module does not import')\n")
    with pytest.raises(ValueError, match="this module does not import"):
        client.upload_file(str(path))
    assert client.submit(lambda: 5, pure=False).result() == 5


@pytest.mark.skipif(IS_STOCK, reason="the helper is ours")
def test_uploads_outlive_the_graph_helper(cluster, client, tmp_path, monkeypatch):
    client.upload_file(write_module(tmp_path, "upload_kept", 6))
    module = from_module(tmp_path, "upload_kept", monkeypatch)
    (helper,) = helpers_of(cluster.scheduler.pid)
    os.kill(helper, signal.SIGKILL)
    wait_until(lambda: [pid for pid in helpers_of(cluster.scheduler.pid) if pid != helper], "the helper's restart")
    assert client.submit(module.answer, module.Thing(1), pure=False).result() == 6


@pytest.mark.skipif(IS_STOCK, reason="stock runs scheduler plugins")
def test_other_scheduler_plugins_are_refused(client):
    class SchedulerUploadFileAlike(SchedulerPlugin):
        name = "alike"

    for plugin in (SchedulerPlugin(), SchedulerUploadFileAlike()):
        with pytest.raises(NotImplementedError, match="scheduler plugins"):
            client.register_plugin(plugin, name="mine")


def helpers_of(pid):
    children = f"/proc/{pid}/task/{pid}/children"
    with open(children) as f:
        return [int(child) for child in f.read().split()]
