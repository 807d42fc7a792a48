"""Former names, for readers that will go."""

from anndata import AnnData as AnnDataLike

from sbnn.data.paired import outputs_of


def entry(mapping, key, where):
    """Entry of a mapping, or an error that lists the keys."""
    if key not in mapping:
        raise KeyError(f"no {key!r} in {where}; it holds {sorted(map(str, mapping.keys()))}")
    return mapping[key]


def gene_modality(data):
    """The AnnData."""
    return data


def with_outputs(data, outputs=None):
    """Expression and outputs of the same cells."""
    return data, outputs_of(data, outputs), {}


__all__ = ["AnnDataLike", "entry", "gene_modality", "with_outputs"]
