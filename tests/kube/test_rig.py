"""The rig itself: what the other tests of this folder rely on."""

import subprocess

from rig import FOLDER


def test_the_control_plane_answers_in_its_pinned_version(control_plane):
    pinned = next(line.split("=")[1] for line in (FOLDER / "build.sh").read_text().splitlines() if line.startswith("KUBERNETES="))
    assert f'"gitVersion": "v{pinned}"' in control_plane.kubectl("get", "--raw", "/version")


def test_the_user_operator_begins_without_rights(control_plane):
    refused = control_plane.run("get", "pods", context="operator")
    assert refused.returncode != 0
    assert "Forbidden" in refused.stderr


def test_owners_take_what_they_own_with_them(control_plane):
    owner = control_plane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}})
    assert "owner" in owner
    uid = control_plane.get("configmap", "owner")["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    control_plane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "ownerReferences": [reference]}})
    control_plane.kubectl("delete", "configmap", "owner")
    control_plane.kubectl("wait", "--for=delete", "configmap/owned", "--timeout=30s")


def test_up_names_what_is_missing(tmp_path):
    (tmp_path / "cache").mkdir()
    failed = subprocess.run([FOLDER / "up.sh", "--cache", tmp_path / "cache", tmp_path / "state"], capture_output=True, text=True)
    assert failed.returncode == 1
    assert "run build.sh --tier 1 first" in failed.stderr
