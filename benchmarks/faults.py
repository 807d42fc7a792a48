"""How often faults were tried, and whether anything was lost: the table of docs/faults.md.

    .venv/bin/python benchmarks/faults.py

The faults are those of tests/faults, with more seeds. Filling a disk needs the right to mount one.
"""

import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "faults"), str(ROOT / "tests")]

HEADER = "| fault | tried | survived | lost |\n|---|---|---|---|"


def row(name, function, n_seeds):
    """Line of the table: a seed in which anything is lost counts once, as lost."""
    survived = lost = 0
    for seed in range(n_seeds):
        with tempfile.TemporaryDirectory() as folder:
            try:
                survived += function(folder, seed)
            except Exception as error:  # whatever it is, it should not have been
                print(f"{name}, seed {seed}: {error!r}", file=sys.stderr)
                lost += 1
    return f"| {name} | {survived + lost} | {survived} | {lost} |"


def main():
    from tried import FAULTS

    warnings.simplefilter("ignore")  # of scores by chance, of bad tables
    print(HEADER)
    for name, fault in FAULTS.items():
        print(row(name, fault.function, fault.in_table), flush=True)


if __name__ == "__main__":
    main()
