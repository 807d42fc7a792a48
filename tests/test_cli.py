"""The parser, and what a user gets who types a wrong command."""

import io
import os
import re
import subprocess
import sys

import pytest
from material.command import run

from sbnn.study.command import REPOSITORY


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("report lost", "sbnn: no results in lost"),
        ("reproduce all lost", "'lost'"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(words, text, capsys):
    assert run(*words.split()) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("fit", "--groups COLUMN column of the labels, such as donor: folds hold out whole groups"),
        ("data", "list: what there is, and where"),
        ("reproduce", "--fresh recompute saved results"),
        ("report", "folder of `sbnn fit`; or all (default)"),
    ],
)
def test_help_explains_arguments(command, text, capsys):
    with pytest.raises(SystemExit, match="0"):
        run(command, "--help")
    assert text in " ".join(capsys.readouterr().out.split())


def test_a_reader_may_need_only_the_beginning():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "sbnn", "data", "list"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=os.environ)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_letters_that_a_file_lacks_are_replaced(monkeypatch):
    file = io.BytesIO()
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding="ascii"))
    assert run("report", "yeast_pramila") == 0
    assert re.search(rb"0\.\d+ \? 0\.\d+", file.getvalue())
