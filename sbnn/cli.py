"""The command line ``sbnn``; the exit status is 2 after an error and 130 after Ctrl-C."""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from sbnn.own_data.command import add_fit, add_predict
from sbnn.study.command import add_data, add_report, add_reproduce


def build_parser() -> argparse.ArgumentParser:
    """Parser of all commands."""
    parser = argparse.ArgumentParser("sbnn")
    commands = parser.add_subparsers(required=True, metavar="command")
    add_fit(commands)
    add_predict(commands)
    add_data(commands)
    add_reproduce(commands)
    add_report(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = vars(build_parser().parse_args(arguments))
    run = options.pop("run")
    if isinstance(sys.stdout, io.TextIOWrapper):  # files of Windows lack some letters
        sys.stdout.reconfigure(errors="replace")
    try:
        run(**options)
        sys.stdout.flush()
    except BrokenPipeError:  # by a reader, such as head, that needs no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as of a program that SIGPIPE ends
    except KeyboardInterrupt:
        print("stopped; the same command resumes the run", file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f"sbnn: {error}", file=sys.stderr)
        return 2
    return 0
