"""Starts some processes with variables of their own, as a cluster's launchers do, and ends with them."""

import os
import signal
import subprocess
import sys


def run(command, variables):
    """One process for each dict of variables; SIGTERM is passed on; the worst code is ours."""
    started = [subprocess.Popen(command, env={**os.environ, **more}) for more in variables]

    def pass_on(number, _):
        for process in started:
            process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    codes = [process.wait() for process in started]
    sys.exit(max(codes, key=abs))
