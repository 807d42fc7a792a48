"""Two measurements of the same cells or tumours in files of R packages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sbnn.data.paired import paired
from sbnn.data.readers.citeseq import pair_counts
from sbnn.errors import require

#: Antibodies that bind to no protein of these cells.
ISOTYPE_CONTROLS = "IgG1", "IgG2a"


def read_citefuse(path: Path, *, log_proteins: bool | str = "centred", **options: Any) -> AnnData:
    """Read the CITE-seq example of CiteFuse, 500 blood cells, with centred logs of 47 proteins."""
    tables = r_objects(path)["CITEseq_example"]
    counts, cells, genes = tables["RNA"]
    protein_counts, protein_cells, protein_names = tables["ADT"]
    proteins = pd.DataFrame(protein_counts.toarray(), protein_cells, protein_names)
    proteins = proteins.loc[cells].drop(columns=[*ISOTYPE_CONTROLS])
    return pair_counts(
        counts,
        genes.str.removeprefix("hg19_"),
        proteins,
        log_proteins=log_proteins,
        **options,
    )


def read_tcga_breast(path: Path, **about: Any) -> AnnData:
    """Read 150 breast tumours of TCGA: log expression, proteins, and PAM50 subtypes as types."""
    tables = r_objects(path)["breast.TCGA"]["data.train"]
    expression = tables["mrna"].to_pandas()
    proteins = tables["protein"].to_pandas()
    subtypes = np.asarray(tables["subtype"], dtype=object)
    labels = pd.DataFrame({"family": subtypes, "type": subtypes}, expression.index)
    return paired(X=expression, Y=proteins.loc[expression.index], labels=labels, **about)


def r_objects(path: Path) -> dict[str, Any]:
    """Objects in an ``.rda`` file by name; a sparse matrix is a triple, see `sparse_counts`."""
    require("rdata")
    import rdata

    constructors = {**rdata.conversion.DEFAULT_CLASS_MAP, "dgCMatrix": sparse_counts}
    return rdata.read_rda(path, constructor_dict=constructors)


def sparse_counts(
    matrix: Any, attributes: Mapping[str, Any]
) -> tuple[sparse.csr_array, pd.Index, pd.Index]:
    """Counts, (cells, genes), names of the cells and of the genes of a matrix genes x cells of R.

    R stores the columns one after the other: the values ``x`` of the rows ``i``, from ``p[j]`` on.
    """
    genes, cells = (pd.Index(names, dtype=object) for names in matrix.Dimnames)
    shape = len(cells), len(genes)
    counts = sparse.csr_array((matrix.x.astype(np.int32), matrix.i, matrix.p), shape=shape)
    return counts, cells, genes
