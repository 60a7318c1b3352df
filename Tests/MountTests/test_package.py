"""The Debian package, installed where there is nothing but Debian."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness import mounts

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
MIRROR = os.environ.get("WDSFS_TEST_MIRROR", "")

pytestmark = [
    pytest.mark.long, pytest.mark.limit(1500),
    pytest.mark.skipif(os.geteuid() != 0, reason="a root of its own wants root"),
]


def checked(*words, seconds=1200, **more):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=seconds,
        stdin=subprocess.DEVNULL, **more,
    )
    assert done.returncode == 0, f"{words}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def package(binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    output = checked(PACKAGE / "scripts/package", folder,
                     env={**os.environ, "WDSFS_TEST_BINARY": binary})
    path = pathlib.Path(output.strip().splitlines()[-1])
    assert path.parent == folder
    return path


def test_the_package_holds_what_it_should(package):
    listed = checked("dpkg-deb", "--contents", package)
    for name in (
        "usr/bin/wdsfs", "usr/sbin/mount.wdsfs -> ../bin/wdsfs",
        "usr/sbin/mount.fuse.wdsfs -> ../bin/wdsfs", "usr/share/man/man1/wdsfs-mount.1.gz",
        "usr/share/man/man8/mount.wdsfs.8.gz", "usr/lib/systemd/system/wdsfs@.service",
        "usr/share/bash-completion/completions/wdsfs", "usr/share/zsh/vendor-completions/_wdsfs",
        "usr/share/fish/vendor_completions.d/wdsfs.fish", "usr/share/doc/wdsfs/copyright",
    ):
        assert re.search(rf"\./{re.escape(name)}$", listed, re.M), name
    depends = checked("dpkg-deb", "--field", package, "Depends")
    for library in ("libc6", "libfuse3-3", "libcurl4", "libzstd1"):
        assert library in depends
    # The Swift runtime is within.
    assert "swift" not in depends.lower()


def mirror():
    """Where this machine gets its packages from."""
    if MIRROR:
        return MIRROR
    found = []
    for path in [pathlib.Path("/etc/apt/sources.list"),
                 *pathlib.Path("/etc/apt/sources.list.d").glob("*")]:
        if path.is_file():
            text = re.sub(r"#.*", "", path.read_text())
            found += re.findall(r"https?://[^\s\]]+", text)
    debian = (url for url in found if url.rstrip("/").endswith("/debian"))
    return next(debian, "http://deb.debian.org/debian")


@pytest.fixture(scope="module")
def bare(package, tmp_path_factory):
    """A bare Debian 12 with the package installed; runs scripts in it."""
    for program in ("debootstrap", "unshare", "chroot"):
        if not shutil.which(program):
            pytest.skip(f"no {program} here")
    root = tmp_path_factory.mktemp("bare") / "root"
    checked("debootstrap", "--variant=minbase", "bookworm", root, mirror())
    shutil.copy(package, root / "tmp/wdsfs.deb")

    def script(text):
        # In a mount namespace of its own: nothing that is mounted in there stays.
        return checked(
            "unshare", "--mount", "--pid", "--fork", "--propagation", "private", "sh", "-euc",
            f'mount -t proc proc "{root}/proc"; mount --rbind /dev "{root}/dev"\n'
            f'exec chroot "{root}" /bin/bash -euc "$0"', text,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C",
                 "DEBIAN_FRONTEND": "noninteractive"},
        )

    script("apt-get install -y --no-install-recommends /tmp/wdsfs.deb")
    yield script, root
    assert mounts.mounted(below=root) == []


def test_it_works_on_a_bare_debian_without_swift(bare, uneven):
    script, root = bare
    shutil.copytree(uneven.folder, root / "srv/set")
    output = script("""
        ! command -v swift
        wdsfs --version
        wdsfs doctor >/tmp/doctor || true
        grep -c '^✓' /tmp/doctor >/dev/null
        mkdir -p /mnt/wds
        wdsfs mount /srv/set /mnt/wds --world-size 2 --cursor /tmp/a.cursor
        ls /mnt/wds
        cat /mnt/wds/train/1/00000000/cls >/tmp/cls
        wdsfs unmount /mnt/wds
        wdsfs cursor show /tmp/a.cursor >/dev/null
        mount -t wdsfs -o world_size=3 /srv/set /mnt/wds
        ls /mnt/wds/train
        umount /mnt/wds
        for page in /usr/share/man/man1/wdsfs*.gz; do zcat "$page" | grep -q '^.TH WDSFS'; done
        bash -n /usr/share/bash-completion/completions/wdsfs
    """)
    lines = output.split()
    assert lines[0] == "wdsfs"
    assert lines[2:] == ["train", "val", "0", "1", "2"]


def test_it_is_removed_without_a_trace(bare):
    script, _ = bare
    output = script("""
        dpkg --remove wdsfs >/dev/null
        ls /usr/bin/wdsfs /usr/sbin/mount.wdsfs 2>/dev/null || echo gone
        apt-get install -y --no-install-recommends /tmp/wdsfs.deb >/dev/null
    """)
    assert output.split() == ["gone"]
