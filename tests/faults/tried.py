"""Every fault that is tried, by the name it has in docs/faults.md.

A fault is a function of a folder and a seed. It does the damage at random, raises where anything is lost, and gives how
often it has tried. Tests run a few seeds of each, ``benchmarks/faults.py`` many.
"""

import tempfile
from typing import NamedTuple

import at_once
import damaged_files
import disks
import downloads
import kills
import tables_of_users


class Fault(NamedTuple):
    """A way to do damage, and with how many seeds tests and the table try it."""

    function: object
    in_tests: int
    in_table: int


FAULTS = {
    "kill -9 of a cross-validation, begun again until it finishes": Fault(kills.killed_again_and_again, 1, 6),
    "kill -9 of a cross-validation with two workers": Fault(kills.two_workers, 0, 2),
    "SIGTERM of a cross-validation": Fault(kills.terminated, 0, 4),
    "Ctrl-C of a cross-validation": Fault(kills.interrupted, 1, 4),
    "kill -9 while a record replaces another": Fault(kills.killed_while_saving, 1, 4),
    "a disk that fills up, of a cross-validation": Fault(disks.full_disk, 1, 4),
    "a limit of the size of files, of a cross-validation": Fault(disks.file_that_may_not_grow, 0, 4),
    "a record that does not fit in the place of another": Fault(disks.old_record_on_a_full_disk, 1, 6),
    "two processes with one experiment, while a third is killed": Fault(at_once.same_experiment, 1, 10),
    "two processes with different experiments and one file": Fault(at_once.different_experiments, 1, 10),
    "another experiment on the file of a killed one": Fault(at_once.another_experiment_after_a_kill, 1, 10),
    "a download that is cut off": Fault(downloads.cut_off, 2, 20),
    "a download that is cut off, from a server that cannot resume": Fault(downloads.without_ranges, 1, 20),
    "a download whose kept beginning is another": Fault(downloads.another_beginning, 1, 20),
    "a download with a wrong byte": Fault(downloads.wrong_content, 2, 60),
    "kill -9 of a download": Fault(downloads.killed, 1, 6),
    "two downloads of one file, of which one may be killed": Fault(downloads.two_at_once, 2, 10),
    "a damaged record": Fault(damaged_files.damaged_record, 1, 30),
    "a damaged model": Fault(damaged_files.damaged_model, 1, 30),
    "a damaged file of a finished fit": Fault(damaged_files.damaged_part, 1, 8),
    "a record that runs code, or claims to be huge": Fault(damaged_files.hostile_pickle, 1, 10),
    "a model that runs code, or claims to be huge": Fault(damaged_files.hostile_model, 1, 10),
    "a table in any dialect": Fault(tables_of_users.in_any_dialect, 1, 30),
    "a table with a slip": Fault(tables_of_users.with_a_slip, 2, 30),
}


def outcome(fault, seed):
    """How often a fault was tried with a seed, in a folder of its own; raises where something is lost."""
    with tempfile.TemporaryDirectory() as folder:
        return fault.function(folder, seed)
