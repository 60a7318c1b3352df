"""mount(8), umount(8) and fstab(5), with our helper where they look for it."""

import os
import shutil
import subprocess

import pytest

from harness import mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts by mount(8)")


@pytest.fixture
def machine(binary, tmp_path):
    """Runs a script where /usr/sbin holds our helper, seen by the script alone."""
    helpers = tmp_path / "sbin"
    helpers.mkdir()
    for name in ("mount.wdsfs", "mount.fuse.wdsfs"):
        (helpers / name).symlink_to(binary)
    (tmp_path / "mnt").mkdir()

    def script(text, **more):
        sbin = os.path.realpath("/sbin")
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-euc",
             f'mount --bind "{helpers}" "{sbin}"\n{text}'],
            capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL, cwd=tmp_path,
            env=mounts.clean_environment(**{"WDSFS_CACHE_DIR": tmp_path / "cache", **more}),
        )
        return done.returncode, done.stdout, done.stderr

    yield script
    mounts.wait_until(
        lambda: not mounts.processes_naming(tmp_path / "mnt"), 10, "all that was mounted has ended"
    )


@pytest.mark.parametrize("kind", ["wdsfs", "fuse.wdsfs"])
def test_mount_and_umount_know_it(machine, uneven, tmp_path, kind):
    point = tmp_path / "mnt"
    code, output, errors = machine(f"""
        mount -t {kind} -o world_size=2,ro,nofail,_netdev,x-systemd.automount,uid=7 {uneven.folder} {point}
        grep " {point} " /proc/mounts
        ls {point}/train
        stat -c %u {point}/train/0/00000000/cls
        umount {point}
        grep " {point} " /proc/mounts || echo gone
    """)
    assert code == 0, errors
    lines = output.splitlines()
    source, where, shown, options = lines[0].split()[:4]
    assert (source, where, shown) == (uneven.folder, str(point), "fuse.wdsfs")
    assert {"nosuid", "nodev", "noatime"} <= set(options.split(","))
    assert lines[1:] == ["0", "1", "7", "gone"]


def test_a_line_of_fstab(machine, uneven, tmp_path):
    point, table = tmp_path / "mnt", tmp_path / "fstab"
    table.write_text(
        f"{tmp_path}/none {tmp_path}/none wdsfs nofail,_netdev 0 0\n"
        f"{uneven.folder} {point} wdsfs _netdev,nofail,x-systemd.mount-timeout=5min,"
        "world_size=3,names=field,split=train 0 0\n"
    )
    code, output, errors = machine(f"""
        mount -T {table} {point}
        ls {point} {point}/train/2/00000000
        umount {point}
        # One that cannot be made does not keep the others from it.
        mount -T {table} -a || echo one failed
        ls {point}
        umount {point}
    """)
    assert code == 0, errors
    assert output.split() == [
        f"{point}:", "train", f"{point}/train/2/00000000:", "cls", "jpg", "json", "one",
        "failed", "train",
    ]


def test_a_file_of_options_in_fstab(machine, uneven, tmp_path):
    (tmp_path / "run.toml").write_text("world-size = 4\nshuffle = \"full\"\n")
    code, output, errors = machine(
        f"mount -t wdsfs -o config={tmp_path}/run.toml {uneven.folder} mnt; ls mnt/val; umount mnt"
    )
    assert (code, output.split()) == (0, ["0", "1", "2", "3"]), errors


def test_what_is_wrong_is_said_by_mount(machine, uneven, tmp_path):
    code, _, errors = machine(f"mount -t wdsfs -o nosuch=1 {uneven.folder} mnt")
    assert code == 2 and "unknown mount option: -o nosuch" in errors
    code, _, errors = machine("mount -t wdsfs /nonexistent mnt")
    assert code == 4 and "/nonexistent" in errors
    # All but the mount, as `mount -f` asks.
    code, output, errors = machine(f"mount -f -t wdsfs {uneven.folder} mnt; ls mnt")
    assert (code, output) == (0, ""), errors


def test_findmnt_and_df_show_it(machine, uneven, tmp_path):
    if not shutil.which("findmnt"):
        pytest.skip("no findmnt here")
    code, output, errors = machine(f"""
        mount -t wdsfs {uneven.folder} mnt
        findmnt -n -o FSTYPE,SOURCE mnt
        df --output=fstype mnt | tail -n 1
        umount mnt
    """)
    assert code == 0, errors
    assert output.split() == ["fuse.wdsfs", uneven.folder, "fuse.wdsfs"]
