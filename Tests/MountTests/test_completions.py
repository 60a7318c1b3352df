"""What a shell offers behind `wdsfs`, asked for as somebody does who presses Tab."""

import os
import pty
import select
import shutil
import subprocess
import time

import pytest

from harness import mounts


@pytest.fixture
def script(binary, run, tmp_path):
    """Writes the script for a shell; gives its path, with `wdsfs` in the path of programs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/wdsfs").symlink_to(binary)
    (tmp_path / "functions").mkdir()

    def write(shell, name):
        done = run("--generate-completion-script", shell)
        assert done.returncode == 0, done.stderr
        path = tmp_path / "functions" / name
        path.write_text(done.stdout)
        return path

    return write


@pytest.fixture
def environment(tmp_path):
    return mounts.clean_environment(
        HOME=tmp_path, PATH=f"{tmp_path}/bin:{os.environ['PATH']}", TERM="dumb", PS1="> "
    )


# What is typed, and the one word that it can become.
TYPED = [("wdsfs unm", "unmount"), ("wdsfs cursor me", "merge"), ("wdsfs mount --world", "--world-size"),
         ("wdsfs mount --shuffle f", "full")]


def asked(shell, *words, environment):
    """What the shell says, a line for each line that is typed."""
    done = subprocess.run(
        [shell, *words], capture_output=True, text=True, timeout=50, env=environment,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_bash_completes(script, environment):
    path = script("bash", "wdsfs")
    text = f'source "{path}"\nfunction=$(complete -p wdsfs | sed "s/.*-F \\([^ ]*\\) .*/\\1/")\n'
    for line, _ in TYPED:
        text += f"""
            COMP_LINE='{line}' COMP_POINT={len(line)} COMP_TYPE=9 COMPREPLY=()
            COMP_WORDS=({line}) COMP_CWORD={len(line.split()) - 1}
            "$function" wdsfs "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
            echo "${{COMPREPLY[@]}}"
        """
    found = asked("bash", "--norc", "-c", text, environment=environment)
    assert [words.split() for words in found] == [[offered] for _, offered in TYPED]


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_fish_completes(script, environment):
    path = script("fish", "wdsfs.fish")
    text = f'source "{path}"\n' + "".join(
        f'echo (complete -C "{line}" | string split -f 1 \\t)\n' for line, _ in TYPED
    )
    found = asked("fish", "--no-config", "-c", text, environment=environment)
    assert [words.split() for words in found] == [[offered] for _, offered in TYPED]


@pytest.mark.limit(180)
@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_zsh_completes(script, environment):
    path = script("zsh", "_wdsfs")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment)

    def see(words):
        shown, deadline = "", time.monotonic() + 40
        while words not in shown:
            assert time.monotonic() < deadline, f"{words!r} is missing in {shown!r}"
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace")

    try:
        os.write(terminal, f'fpath=("{path.parent}" $fpath); autoload -U compinit; compinit -D -u; '
                           'PS1="rea""dy> "\n'.encode())
        see("ready> ")
        for line, offered in TYPED:
            # What is offered is no part of what is typed; then the line is taken back.
            os.write(terminal, f"{line}\t".encode())
            see(offered)
            os.write(terminal, b"\x15\n")
            see("ready> ")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
