"""What a number of training events means where they carry weights (docs/method, Weights)."""

from amplify.text import number

_MUCH = 0.9  # of the number of events; weights that cost less are not worth a warning
_GIVEN = 0.05  # how far n_train may be from the effective number that it is meant to be


def about_training_weights(
    n_train: float, n: float, n_effective: float, *, of_training: bool
) -> list[str]:
    """A warning where weights make the training sample worth fewer events than it has.

    >>> about_training_weights(1000, 1000, 980.0, of_training=True)
    []
    >>> about_training_weights(360, 1000, 360.0, of_training=True)
    []

    Args:
        n_train: as it was given.
        n: events of a sample.
        n_effective: (sum w)^2 / sum w^2 of its weights.
        of_training: the sample is the training sample, not a holdout that stands for it.
    """
    share = n_effective / n
    if share > _MUCH or not share > 0:  # other checks say that weights make no sample
        return []
    if of_training and abs(n_train / n_effective - 1) < _GIVEN:
        return []
    worth = f"{number(share * n_train)} unweighted ones, by (sum w)^2 / sum w^2"
    who = f"n_train = {number(n_train)} training events with such weights are worth {worth}"
    if not of_training:
        like = "if training events are weighted like the holdout"
        who = f"{like}, {number(n_train)} of them are worth {worth}"
    meaning = "n_equiv counts unweighted events, so for that n_train G is"
    return [f"{who}: {meaning} {number(1 / share)} times larger"]
