"""Whether a probability of 0.8 is right in eight of ten cases."""

from sbnn.ephys_types.figures.looks import KIND_COLORS
from sbnn.evaluation.classification import calibration
from sbnn.plotting.common import new_figure, styled

COLUMNS = 4
SIDE = 1.75  # inches
RAREST = 0.005  # share of the predictions that a dot is of


@styled
def calibration_curves(models):
    """Share of right answers against the probability of the most probable class, one panel per model.

    Parameters
    ----------
    models : dict of str to (str, Record)
        Label -> kind and cross-validation.

    Returns
    -------
    matplotlib.figure.Figure
        The area of a dot is the share of the predictions; bins of fewer than 0.5 % of them are not drawn. The number is
        the expected calibration error.
    """
    if not models:
        raise ValueError("models: there is none")
    n_rows = -(-len(models) // COLUMNS)
    figure = new_figure(SIDE * n_rows + 0.2)
    axes = figure.subplots(n_rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for i, (ax, (label, (kind, record))) in enumerate(zip(axes.ravel(), models.items(), strict=False)):
        table, error = calibration(record)
        table = table[table["share"] >= RAREST]
        color = KIND_COLORS[kind]
        ax.plot([0, 1], [0, 1], color="0.7", lw=0.6, dashes=(3, 2))
        ax.plot(table["confidence"], table["accuracy"], color=color, lw=1)
        ax.scatter(
            table["confidence"],
            table["accuracy"],
            s=3 + 90 * table["share"],
            color=color,
            lw=0,
            zorder=3,
            clip_on=False,
        )
        ax.set_title(label)
        ax.text(0.97, 0.05, f"error {error:.3f}", transform=ax.transAxes, ha="right", color="0.2")
        ax.set(xlim=(0.15, 1.03), ylim=(-0.03, 1.05), aspect="equal")
        if i % COLUMNS == 0:
            ax.set_ylabel("share that is right")
        if i + COLUMNS >= len(models):
            ax.set_xlabel("probability of the answer")
            ax.tick_params(labelbottom=True)
    for ax in axes.ravel()[len(models) :]:
        ax.set_visible(False)
    return figure
