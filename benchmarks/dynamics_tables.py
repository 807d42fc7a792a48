"""Tables of the benchmarks of dynamics, saved as CSV."""

from pathlib import Path

import pandas as pd


def saved(name):
    """Path of a table of results beside this file."""
    return Path(__file__).with_name(f"dynamics_{name}.csv")


def saved_rows(path, fresh):
    """Rows of a table as dicts; none if there is no table or it is measured anew."""
    if fresh or not path.exists():
        return []
    return pd.read_csv(path).to_dict("records")
