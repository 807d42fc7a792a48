"""The distilled protocol on the folds it was tuned on: folds 1-5 of seed 7, mouse M1, z-scored over
all cells.

    python benchmarks/tuning.py

Changes of the protocol are compared here, never on the ten paper folds. Prints Markdown.
"""

from pages import to_markdown

from sbnn import DistilledBottleneckRegressor, cross_validate, load_dataset, paper_folds

GRID = [{"n_components": [2, 16], "n_genes": [25]}, {"n_components": [2], "n_genes": [10]}]


def main():
    data = load_dataset("scala")
    model = DistilledBottleneckRegressor(standardize=False, device="cpu", random_state=0)
    record = cross_validate(model, data, paper_folds(data.n_obs, seed=7)[:5], GRID, scaling="all")
    rows = record.to_frame().groupby(["n_components", "n_genes"])
    table = rows.agg(R2=("test_r2", "mean"), SD=("test_r2", "std"), seconds=("seconds", "mean"))
    table.index = [f"d={d}, {k} genes" for d, k in table.index]
    print(to_markdown(table.rename_axis("network")))


if __name__ == "__main__":
    main()
