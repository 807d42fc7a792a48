"""From electrophysiology to transcriptomic type: every classifier on every data set, and transfer; prints the tables.

    python benchmarks/ephys_types.py [--datasets lee_human,gouwens_ephys,simulated_ephys] [--fresh] [--fast] [--jobs 1]

Measures what is missing, one thread per fit, and keeps it in saved_models/<data set>; `--fresh` measures all anew. Data
sets whose files cannot be had are reported as such. Settings of the classifiers were chosen on folds of other seeds
than those that are reported, see ephys_types_tries.md beside this file.
"""

import argparse
from pathlib import Path

from sbnn.data.datasets import EPHYS_TYPES, names_of
from sbnn.ephys_types.report import NOTE, all_tables
from sbnn.ephys_types.study import STUDY
from sbnn.results import results_folder
from sbnn.tables import print_tables

ROOT = Path(__file__).resolve().parents[1]


def measure(name, saved_models, fast=False, fresh=False, n_jobs=1):
    """Run, or load, everything of a data set; dict of tables by title."""
    folder = results_folder(saved_models, name, fast)
    STUDY.run(name, folder, "cv", fast=fast, fresh=fresh, n_jobs=n_jobs)
    if name != "gouwens_ephys":
        STUDY.run(name, folder, "transfer", fast=fast, fresh=fresh)
    return all_tables(STUDY.load(folder))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default=",".join(names_of(EPHYS_TYPES)))
    parser.add_argument("--saved-models", default=ROOT / "saved_models", type=Path)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    for name in options.datasets.split(","):
        try:
            tables = measure(name, options.saved_models, options.fast, options.fresh, options.jobs)
        except FileNotFoundError as error:
            print(f"\n{name}: cannot be had: {error}")
            continue
        print_tables({f"{name}: {title}": table for title, table in tables.items()})
    print(f"\n{NOTE}")


if __name__ == "__main__":
    main()
