"""The command of the package in the process of a test, and code in a process of its own."""

import subprocess
import sys

from sbnn import cli


def run(*words):
    return cli.main([str(word) for word in words])


def run_alone(code, *options):
    """What code prints in a new process of Python with these options."""
    command = [sys.executable, *options, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
