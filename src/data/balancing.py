"""Choose which groups of pictures validate, so that both parts hold each class in the same share."""

import numpy as np

MAX_TRIED = 14  # groups of which all choices are tried
STARTS = 8  # of the search among more, each from another random choice
MANY, SMALL_GAIN = 1000, 0.05  # among more groups there is one start, which ends when a round over all gains less than this part
MIN_GAIN = 1e-12  # of the squared distance: rounding must not look like progress


def choose_groups(amounts: np.ndarray, num_pictures: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return which groups validate, (G,) bool; at least one does and one does not.

    The wanted share of each class's pixels and of the pictures is `share`; the distance is the mean of the squared differences over the
    classes plus that of the pictures. Up to 14 groups all choices are tried. Among more it falls until no exchange of two groups lowers it
    (nor moving one, where groups differ in size), from 8 starts of which the best counts; above 1000 groups there is one start, which ends
    when little is gained. Groups of equal size are chosen in exactly the number that is nearest to the share.

    Args:
        amounts: (G, C) pixels of each class in each group; each class occurs.
        num_pictures: (G,) pictures in each group.
        share: of the validation part, 0..1.
        rng: the same state gives the same choice.
    """
    is_fixed = bool((num_pictures == num_pictures[0]).all())
    features = np.column_stack([amounts / amounts.sum(axis=0) / np.sqrt(amounts.shape[1]), num_pictures / num_pictures.sum()])
    targets = share * features.sum(axis=0)
    number = int(np.clip(round(share * len(amounts)), 1, len(amounts) - 1))
    if len(amounts) <= MAX_TRIED:
        return _best_of_all(features, targets, number if is_fixed else 0, rng)
    return _search(features, targets, number, is_fixed, rng)


def _best_of_all(features: np.ndarray, targets: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return the best choice of `number` groups, 0: of any; among equal ones the random state decides."""
    count = len(features)
    choices = np.arange(1, 2**count - 1)[:, None] >> np.arange(count) & 1
    if number:
        choices = choices[choices.sum(axis=1) == number]
    choices = rng.permutation(choices)
    costs = ((choices @ features - targets) ** 2).sum(axis=1)
    return choices[np.argmax(costs <= costs.min() + MIN_GAIN)].astype(bool)


def _search(features: np.ndarray, targets: np.ndarray, number: int, is_fixed: bool, rng: np.random.Generator) -> np.ndarray:
    """Return the best choice of several descents."""
    best, best_cost = np.zeros(0, bool), np.inf
    for _ in range(STARTS if len(features) <= MANY else 1):
        chosen = np.zeros(len(features), bool)
        chosen[rng.permutation(len(features))[:number]] = True
        cost = _improve(features, targets, chosen, is_fixed, rng)
        if cost < best_cost - MIN_GAIN:
            best, best_cost = chosen, cost
    return best


def _improve(features: np.ndarray, targets: np.ndarray, chosen: np.ndarray, is_fixed: bool, rng: np.random.Generator) -> float:
    """Exchange groups in place while that helps; return the squared distance."""
    lengths = (features**2).sum(axis=1)
    rest = features[chosen].sum(axis=0) - targets
    cost, before = rest @ rest, np.inf
    while cost < before * (1 - SMALL_GAIN * (len(features) > MANY)) - MIN_GAIN:
        before = cost
        for group in rng.permutation(np.flatnonzero(chosen)):
            without = rest - features[group]
            # |without + other|^2, less what all others share
            costs = lengths + 2 * (features @ without)
            costs[chosen] = np.inf
            other = costs.argmin()
            if costs[other] + without @ without < rest @ rest - MIN_GAIN:
                chosen[group], chosen[other] = False, True
                rest = without + features[other]
        if not is_fixed:
            _move_one(features, targets, chosen)
        rest = features[chosen].sum(axis=0) - targets  # anew: without the rounding of many additions
        cost = rest @ rest
    return float(cost)


def _move_one(features: np.ndarray, targets: np.ndarray, chosen: np.ndarray) -> None:
    """Move the group to the other part that helps most, where one does."""
    rest = features[chosen].sum(axis=0) - targets
    signs = np.where(chosen, -1.0, 1.0)
    costs = ((rest + signs[:, None] * features) ** 2).sum(axis=1)
    if chosen.sum() == 1:
        costs[chosen] = np.inf
    if (~chosen).sum() == 1:
        costs[~chosen] = np.inf
    if costs.min() < rest @ rest - MIN_GAIN:
        chosen[costs.argmin()] ^= True
