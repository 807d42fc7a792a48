"""Write the files of this folder that programs of Python write.

    python make.py && Rscript make.R

Most files hold the same 24 cells: counts of six genes, three outputs and three proteins, which
counts.csv, ephys.csv and proteins.csv have as they are. Most other outputs are in another order, so
that cells matched by position would be wrong. They were written with scanpy 1.11.5, mudata 0.3.10,
loompy 3.0.8 and openpyxl 3.1.5, and with R 4.2.2, SeuratObject 4.1.3, SingleCellExperiment 1.20.0,
MultiAssayExperiment 1.24.0 and DropletUtils 1.18.1, which writes the formats of Cell Ranger.
"""

from pathlib import Path

import anndata
import loompy
import mudata
import numpy as np
import openpyxl
import pandas as pd
import scanpy

FOLDER = Path(__file__).parent
RNG = np.random.default_rng(0)
BARCODES = ["".join(RNG.choice(list("ACGT"), 16)) + "-1" for _ in range(24)]
GENES = ["CD4", "CD8A", "GNLY", "NKG7", "LYZ", "MS4A1"]
COUNTS = pd.DataFrame(RNG.poisson(6, (24, 6)) + 1, BARCODES, GENES)
EPHYS = pd.DataFrame(
    {
        "Rheobase": 1500 + 400 * RNG.normal(size=24),
        "Rin": 100 + 10 * RNG.normal(size=24) + COUNTS["LYZ"],
        "Vrest": -70 + 2 * RNG.normal(size=24),
    },
    BARCODES,
).round(2)
PROTEINS = pd.DataFrame(
    RNG.negative_binomial(2, 0.02, (24, 3)), BARCODES, ["ADT_CD4", "ADT_CD8", "ADT_CD19"]
)
SHUFFLED = RNG.permutation(BARCODES)
LATER = EPHYS.loc[SHUFFLED].rename_axis("cell")


def write_truth():
    """The tables that all other files hold."""
    COUNTS.to_csv(FOLDER / "counts.csv")
    EPHYS.to_csv(FOLDER / "ephys.csv")
    PROTEINS.to_csv(FOLDER / "proteins.csv")


def write_text_files():
    """Tables as pandas writes them."""
    LATER.to_csv(FOLDER / "ephys_semicolons.csv", sep=";", decimal=",")
    LATER.to_csv(FOLDER / "ephys_commas.txt", sep="\t", decimal=",")
    LATER.map("{:,.2f}".format).to_csv(FOLDER / "ephys_thousands.csv")
    LATER.T.to_csv(FOLDER / "ephys_turned.csv")
    LATER.reset_index().melt("cell", var_name="output").to_csv(
        FOLDER / "ephys_long.csv", index=False
    )
    sweeps = pd.concat([LATER - 1, LATER + 1]).assign(sweep=np.repeat([1, 2], 24))
    sweeps.round(2).to_csv(FOLDER / "ephys_sweeps.csv")
    EPHYS.reset_index(drop=True).to_csv(FOLDER / "ephys_numbered.csv")
    coded = LATER.astype({"Rheobase": object})
    coded.loc[SHUFFLED[:2], "Rheobase"] = -999
    coded.to_csv(FOLDER / "ephys_coded.csv")
    missing = LATER.assign(Tau=np.where(np.arange(24) < 8, 10.0, np.nan))
    missing.loc[SHUFFLED[:2], "Rheobase"] = np.nan
    missing.to_csv(FOLDER / "ephys_missing.csv")
    drugs = pd.DataFrame(RNG.beta(0.3, 8, (24, 3)), SHUFFLED, ["17-AAG", "Nilotinib", "PD-0332991"])
    drugs.round(4).to_csv(FOLDER / "drugs.csv")
    columns = [f"{kind}_{i}" for kind in ("promoter", "enhancer") for i in (1, 2, 3)]
    methylation = pd.DataFrame(RNG.beta(2, 5, (24, 6)).round(2), SHUFFLED, columns)
    methylation[RNG.random((24, 6)) < 0.3] = np.nan
    methylation.to_csv(FOLDER / "methylation.csv")
    versions = [f"ENSG0000000000{i}.{i}" for i in range(1, 7)]
    COUNTS.set_axis(versions, axis=1).to_csv(FOLDER / "counts_ensembl.csv")
    same_names = PROTEINS.loc[SHUFFLED].set_axis(["CD4", "CD8A", "MS4A1"], axis=1)
    same_names.to_csv(FOLDER / "proteins_as_genes.csv")


def write_workbook():
    """A sheet with a title and units, and one with merged names of protocols."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "ephys"
    sheet.append(["Recordings of 2020"])
    sheet.append(["slice", "cell", *EPHYS])
    sheet.append(["", "", "pA", "MOhm", "mV"])
    for i, (cell, row) in enumerate(LATER.iterrows()):
        sheet.append([f"s{i // 6}", cell, *row])
    sheet = book.create_sheet("protocols")
    sheet.append(["", "long", "", "short"])
    sheet.merge_cells("B1:C1")
    sheet.append(["cell", *EPHYS])
    for cell, row in LATER.iterrows():
        sheet.append([cell, *row])
    book.save(FOLDER / "mine.xlsx")


def write_containers():
    """Files of scanpy, mudata and loompy; the modalities have different cells."""
    rna = anndata.AnnData(COUNTS.astype("float32"))
    scaled = rna.copy()
    scaled.obsm["ephys"] = EPHYS
    scanpy.pp.normalize_total(scaled, target_sum=1e4)
    scanpy.pp.log1p(scaled)
    scaled.raw = scaled.copy()
    scanpy.pp.scale(scaled, max_value=10)
    scaled.write_h5ad(FOLDER / "scaled.h5ad")
    protein = anndata.AnnData(PROTEINS.loc[SHUFFLED[2:]].astype("float32"))
    mudata.MuData({"rna": rna, "prot": protein}).write(FOLDER / "mine.h5mu")
    columns = {"Gene": np.array(GENES)}
    rows = {"CellID": np.array(BARCODES)}
    loompy.create(str(FOLDER / "mine.loom"), COUNTS.T.to_numpy(), columns, rows)


if __name__ == "__main__":
    write_truth()
    write_text_files()
    write_workbook()
    write_containers()
