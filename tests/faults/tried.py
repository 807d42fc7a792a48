"""Every fault that is tried, by the name it has in docs/faults.md: a function of a folder and a
seed.

It does the damage at random, raises where anything is lost, and gives how often it has tried. Tests
run a few seeds of each; as a program (PYTHONPATH=tests) it runs many and prints the table of
docs/faults.md (filling a disk needs the right to mount one).
"""

import signal
import sys
import tempfile
import warnings
from functools import partial

import interruptions
from interruptions import killed_again_and_again as again_and_again

FAULTS = {  # name -> function, seeds in the tests, seeds in the table
    "kill -9 of a cross-validation, restarted until it finishes": (again_and_again, 1, 6),
    "kill -9 of a cross-validation with two workers": (
        partial(again_and_again, n_jobs=2, kills=3, longest=5),
        0,
        2,
    ),
    "Ctrl-C of a cross-validation": (partial(again_and_again, kills=5, how=signal.SIGINT), 1, 4),
    "a disk that fills up during a cross-validation": (interruptions.full_disk, 1, 4),
    "two processes with one experiment, while a third is killed": (
        interruptions.same_experiment,
        1,
        10,
    ),
    "two processes that write different experiments to one file": (
        interruptions.different_experiments,
        1,
        10,
    ),
    "another experiment on the file of a killed one": (
        interruptions.another_experiment_after_a_kill,
        1,
        10,
    ),
    "a damaged file of a finished fit": (interruptions.damaged_part, 1, 8),
}


def main():
    """Print the table; a seed in which anything is lost counts once, as lost."""
    warnings.simplefilter("ignore")  # of scores by chance, of bad tables
    print("| fault | tried | survived | lost |\n|---|---|---|---|")
    for name, (function, _, seeds) in FAULTS.items():
        survived = lost = 0
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    survived += function(folder, seed)
                except Exception as error:  # whatever it is, it should not have been
                    print(f"{name}, seed {seed}: {error!r}", file=sys.stderr)
                    lost += 1
        print(f"| {name} | {survived + lost} | {survived} | {lost} |", flush=True)


if __name__ == "__main__":
    main()
