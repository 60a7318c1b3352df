"""The examples, run by several processes in place of nodes."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from harness import mounts, runs

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
STAND_INS = pathlib.Path(__file__).resolve().parent / "stand_ins"


@pytest.fixture
def cluster(binary, tmp_path):
    """The environment of somebody who has wdsfs, torchrun and Slurm in the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "wdsfs").symlink_to(binary)
    (tmp_path / "tmp").mkdir()
    yield mounts.clean_environment(
        PATH=f"{programs}:{STAND_INS}:{os.environ['PATH']}", PYTHON=sys.executable,
        TMPDIR=tmp_path / "tmp", WDSFS_CACHE_DIR=tmp_path / "cache",
    )
    for point, _ in mounts.mounted(below=tmp_path):
        mounts.detach(point)
    mounts.wait_until(
        lambda: not mounts.processes_naming(tmp_path / "tmp"), 20, "the example's mounts have ended"
    )


def keys_seen(path):
    """What all ranks have trained on, by epoch."""
    found = {}
    for file in path.parent.glob(path.name + ".*"):
        for line in file.read_text().splitlines():
            epoch, key = line.split("\t")
            found.setdefault(int(epoch), []).append(key)
    return {epoch: sorted(keys) for epoch, keys in found.items()}


def test_torchrun_trains_each_sample_once_over_kills_and_sizes(mount_run, uneven, cluster, tmp_path):
    train = PACKAGE / "examples/torchrun/train.py"
    seen = tmp_path / "seen"

    def torchrun(world_size, *options):
        mount = mount_run("--world-size", world_size, "--shuffle", "full", "--seed", 7,
                          cursor="run.cursor")
        done = subprocess.run(
            ["torchrun", "--nproc-per-node", str(world_size), train, mount.point, "--seen", seen,
             *options],
            env=cluster, capture_output=True, text=True, timeout=50,
        )
        assert done.returncode == 0, done.stderr
        mount.unmount()
        return done.stdout

    assert "stopped after 2 steps" in torchrun(3, "--batch-size", "2", "--max-steps", "2")
    assert "epoch 0 done" in torchrun(2, "--batch-size", "3")
    assert keys_seen(seen) == {0: runs.all_keys(uneven)}


def sbatch(uneven, cluster, tmp_path, *, wait=None, nodes=2, **more):
    run = tmp_path / "run7"
    job = subprocess.Popen(
        ["sbatch", f"--nodes={nodes}", "examples/slurm/train.sbatch", uneven.folder, run],
        cwd=PACKAGE, env={**cluster, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, stdin=subprocess.DEVNULL,
    )
    try:
        if wait:
            mounts.wait_until(wait, 30, "the job trains")
            job.send_signal(signal.SIGTERM)
        output, _ = job.communicate(timeout=50)
    finally:
        job.kill()
    return job.returncode, output


def test_a_slurm_job_that_is_ended_goes_on_where_it_was(uneven, cluster, tmp_path):
    seen = tmp_path / "seen"
    slow = f"--seen {seen} --batch-size 1 --step-seconds 0.2"
    code, output = sbatch(
        uneven, cluster, tmp_path, TRAIN_OPTIONS=slow,
        wait=lambda: len(list(tmp_path.glob("seen.*"))) == 2,
    )
    assert code == 0, output
    assert output.count("stopped after") == 2
    resume = re.search(r"^to go on: sbatch (\S+) (\S+) (\S+)$", output, re.M)
    assert resume and resume[2] == uneven.folder, output
    assert mounts.mounted(below=tmp_path) == []
    cursors = list((tmp_path / "run7/cursors").glob("*.cursor"))
    assert len(cursors) == 2
    first = keys_seen(seen)
    assert 2 <= len(first[0]) < 26

    code, output = sbatch(uneven, cluster, tmp_path, TRAIN_OPTIONS=f"--seen {seen}")
    assert code == 0, output
    assert keys_seen(seen) == {0: runs.all_keys(uneven)}


def test_the_manifests_fit_the_schemas_of_kubernetes():
    manifests = sorted((PACKAGE / "examples/kubernetes").glob("*.yaml"))
    assert len(manifests) == 3
    done = subprocess.run(
        [sys.executable, "-m", "kubernetes_validate", "--strict", *manifests],
        capture_output=True, text=True, timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_manifests_name_options_that_there_are(run, tmp_path):
    import yaml

    text = (PACKAGE / "examples/kubernetes/sidecar.yaml").read_text()
    names = re.findall(r"name: (WDSFS_\w+), value: \"?([^}\"]+)", text)
    done = run("mount", "--print-config", environment=mounts.clean_environment(**dict(names)))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    documents = list(yaml.safe_load_all((PACKAGE / "examples/kubernetes/daemonset.yaml").read_text()))
    config = tmp_path / "imagenet.toml"
    config.write_text(documents[1]["data"]["imagenet.toml"])
    for path in (config, PACKAGE / "packaging/example.toml"):
        done = run("mount", "--config", path, "--print-config")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
