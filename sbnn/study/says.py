"""What the results of a data set are worth, in sentences, from saved records alone."""

import numpy as np
import pandas as pd

from sbnn.evaluation.stability import selection_table, trust_sentence
from sbnn.evaluation.verdict import have_same_folds, outputs_table, verdict

# Least R2 of the map with those of other seeds -> what that means.
MAP_HOLDS = {
    0.9: "it holds",
    0.7: "it holds for the most part, map_trust shows which cells move",
    -np.inf: "it does not hold, other seeds give other maps; read nothing from the places of cells",
}


def numbers_say(records):
    """Sentences on the test R2 of the default network with two units, its outputs, its genes and its map, by `about`.

    Only what there are records for; chance is that of the outputs in a fit of the same data, without one it is unknown.
    """
    told = {}
    scores, ridge = records.get("cv_default"), records.get("cv_ridge")
    fit = next((one for one in records.values() if one.experiment == "fit" and "outputs" in one.values), None)
    for point in scores.points(n_components=2)[:1] if scores is not None else ():
        if ridge is not None and not have_same_folds(scores, ridge):
            ridge = None
        accuracy = verdict(scores, fit, ridge, point)
        told["distilled network d=2"] = accuracy.sentence
        if accuracy.better_than_chance is not None:
            better = outputs_table(scores, fit, point=point).better_than_chance
            rest = ", ".join(better.index[~better])
            some_of_them = f"{better.sum()} of {len(better)} outputs are" if better.any() else "No single output is"
            others = f", but not {rest}" if rest and better.any() else ""
            told["its outputs"] = f"{some_of_them} predicted better than chance (adjusted for their number){others}."
    if (halves := records.get("halves_default")) is not None:
        some = f"{selection_table(halves).trusted.sum()} of the genes can be trusted"
        told["its genes"] = trust_sentence(halves) or f"{some}, with at most one of them expected by chance."
    if (trust := records.get("map_trust")) is not None:
        told["its map"] = map_sentence(trust)
    return pd.DataFrame({"sentence": told.values()}, pd.Index(told, name="about"))


def map_sentence(trust):
    """Say what of a map is left with other seeds, from the record of `sbnn.study.maps.run_map_trust`; a str."""
    low, high = trust.agreement.min(), trust.agreement.max()
    holds = next(text for least, text in MAP_HOLDS.items() if low >= least)
    return f"Fitted with other seeds it has an R2 of {low:.2f} to {high:.2f} with this one: {holds}."
