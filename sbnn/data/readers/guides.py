"""Targets of guides, from their names."""

import re

import pandas as pd

from sbnn.data.checks import some

# Ends of names that no gene symbol has: GATA1_2, GATA1_A, GATA1_sg2, GATA1-sg2, GATA1g2,
# GATA1_guideA, GATA1_ACGTACGTACGTACGTACGT, and GATA1_+_48786562.23-P1P2 of CRISPRi libraries.
_SEQUENCE = "_[ACGT]{15,}"
_CLEAR_ENDS = (
    r"_[+-]_\d+(\.\d+)?-\S+",
    rf"_(\d+|[A-Z])({_SEQUENCE})?",
    rf"[-._](sg|g|guide)(RNA)?[-_.]?(\d+|[A-Z])({_SEQUENCE})?",
    r"(?<=[A-Z0-9])s?g(RNA)?\d+",
    _SEQUENCE,
)
_CLEAR = re.compile(rf"(?P<stem>.+?)({'|'.join(_CLEAR_ENDS)})")
# Ends that gene symbols have, too: NKX2-1, HLA-A, AC012345.1.
_UNCLEAR = re.compile(r"(?P<stem>.+)(?P<form>[-.])(?P<number>\d+|[A-Z])")
_NUMBER = re.compile(r"(?P<stem>.*\D)(0\d+|\d{3,})")  # CTRL00698, but not WT1

# Names of controls, the most specific first; not genes such as NT5E, SAFB and NEGR1.
_CONTROLS = (
    r"non?[-_ .]?target(t?ing)?(?![a-z])",
    r"(?<![a-z0-9])ntc?(?![a-z0-9])",
    r"(?<![a-z])neg(ative)?[-_ .]?(control|ctrl)(?![a-z])",
    r"(?<![a-z])(control|ctrl|ctl)(?![a-z])",
    r"(?<![a-z])scrambled?(?![a-z])",
    r"(?<![a-z0-9])(neg|negative|scr|safe)\d*(?![a-z0-9])",
    r"(?<![a-z])safe[-_ .]?(target(ing)?|harbou?r)(?![a-z])",
    r"(?<![a-z])(intergenic|empty|unperturbed|untreated|mock)",
    r"(?<![a-z0-9])(aavs1|rosa26|lacz|e?gfp|luciferase)(?![a-z0-9])",
)


def targets_of(guides, genes=(), control=None, given=None):
    """Target of each guide.

    The end of a name that numbers the guides of a target is removed: ``IRF1_2``, ``IRF1_sg2``,
    ``IRF1_guideB`` and ``IRF1g2`` are guides of IRF1. ``IRF1-2``, ``IRF1.2`` and ``IRF1-B`` are,
    too, if all guides have such an end, without gaps in the numbers of a target, since genes such
    as NKX2-1 also have such names. The end is kept if nothing else distinguishes the names, as in
    ``cluster_1`` and ``cluster_2``, and if the guide is named like one of the `genes`.

    Guides of the `control` may be in any letter case. `given` targets, and the result, have the
    columns ``guide`` and ``target``.
    """
    names = list(dict.fromkeys(map(str, guides)))
    if given is not None:
        return pd.DataFrame({"guide": names, "target": _given_targets(names, given)})
    genes = _without_numbered(set(genes))
    if control is not None:
        control = str(control)
    of_control = {name for name in names if _is_control(name, control, genes)}
    others = [name for name in names if name not in of_control]
    target = _stems(others, genes) | dict.fromkeys(of_control, control)
    return pd.DataFrame({"guide": names, "target": [target[name] for name in names]})


def has_control(names, control):
    """Whether any of the names is the control, or a guide of it."""
    return any(_is_control(name, control and str(control), ()) for name in names)


def likely_control(names):
    """Label that is probably the control, or None."""
    # the part before the number names all its guides
    labels = [label for name in names for label in (*_possible_stems(name), name)]
    for pattern in _CONTROLS:
        n_others = {}  # label -> number of other letters
        for label in labels:
            other, n_found = re.subn(pattern, "", label.casefold())
            if n_found:
                n_others[label] = len(other)
        if n_others:
            # "ctrl+ctrl" rather than "GATA1+ctrl"
            return min(n_others, key=n_others.get)
    return None


def show_targets(table):
    """Text with a line for each target and its guides."""
    own = table["guide"] == table["target"]
    lines = []
    for target, guides in table.groupby("target", sort=False)["guide"]:
        if list(guides) != [target]:
            lines.append(f"{target}: {some(guides)}")
    single = table.loc[own & ~table["target"].duplicated(keep=False), "target"]
    if len(single):
        lines.append(f"labels that are their own target: {some(single)}")
    return "\n".join(lines)


def _without_numbered(genes):
    """Genes without those that AnnData numbered: MATR3-1 beside MATR3."""
    matches = filter(None, map(_UNCLEAR.fullmatch, genes))
    return genes - {match[0] for match in matches if match["stem"] in genes}


def _given_targets(names, given):
    given = given[["guide", "target"]].astype(str).drop_duplicates()
    twice = given["guide"][given["guide"].duplicated()]
    if len(twice):
        raise ValueError(f"targets: more than one target of the guides {some(twice)}")
    target = given.set_index("guide")["target"]
    missing = [name for name in names if name not in target.index]
    if missing:
        raise ValueError(f"targets: no target of the guides {some(missing)}")
    return target[names].to_numpy()


def _possible_stems(name):
    stems = [_clear_stem(name)]
    for pattern in (_UNCLEAR, _NUMBER):
        match = pattern.fullmatch(name)
        if match:
            stems.append(match["stem"])
    return [stem for stem in stems if stem != name]


def _is_control(name, control, genes):
    if control is None or (name in genes and name != control):
        return False
    labels = [name, *_possible_stems(name)]
    return control.casefold() in map(str.casefold, labels)


def _stems(names, genes):
    stems = _unclear_stems(names, genes)
    if stems is None:
        stems = {name: name if name in genes else _clear_stem(name) for name in names}
    different = set(stems.values())
    if len(different) == 1 and not different <= genes:
        return {name: name for name in names}
    return stems


def _clear_stem(name):
    stems = []
    for part in name.split("|"):
        match = _CLEAR.fullmatch(part)
        stems.append(match["stem"] if match else part)
    return "|".join(dict.fromkeys(stems))


def _unclear_stems(names, genes):
    ends = {name: _UNCLEAR.fullmatch(name) for name in names}
    if not ends or genes & set(names) or not all(ends.values()):
        return None
    table = pd.DataFrame([end.groupdict() for end in ends.values()], ends)
    is_letter = table["number"].str.isalpha()
    one_form = len(set(zip(table["form"], is_letter, strict=True))) == 1
    numbers = [ord(end) - ord("A") if end.isalpha() else int(end) for end in table["number"]]
    of_stem = pd.Series(numbers, table.index).groupby(table["stem"])
    gaps = [not _without_gaps(found) for _, found in of_stem]
    repeated = table["stem"].duplicated().any() or genes.issuperset(table["stem"])
    if not one_form or any(gaps) or not repeated:
        return None
    return table["stem"].to_dict()


def _without_gaps(numbers):
    first = min(numbers)
    complete = sorted(numbers) == list(range(first, first + len(numbers)))
    return len(numbers) == 1 or (complete and first in (0, 1))
