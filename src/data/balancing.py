"""Choose which groups of pictures validate, so that both parts hold each class in the same share."""

import numpy as np

STARTS = 8  # of the search, each from another random choice
MIN_GAIN = 1e-12  # of the squared distance: rounding must not look like progress
SIZE_WEIGHT = 1.0  # of the share of pictures beside the mean over classes, where groups differ in size


def choose_groups(amounts: np.ndarray, num_pictures: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return which groups validate, (G,) bool; at least one does and one does not.

    The wanted share of each class's pixels and of the pictures is `share`; the sum of squared distances from it falls until no exchange
    of two groups lowers it (nor moving one, where groups differ in size), from several starts, of which the best counts. Groups of equal
    size are chosen in exactly the number that is nearest to the share.

    Args:
        amounts: (G, C) pixels of each class in each group; each class occurs.
        num_pictures: (G,) pictures in each group.
        share: of the validation part, 0..1.
        rng: the same state gives the same choice.
    """
    is_fixed = bool((num_pictures == num_pictures[0]).all())
    features = np.column_stack([amounts / amounts.sum(axis=0) / np.sqrt(amounts.shape[1]), SIZE_WEIGHT * num_pictures / num_pictures.sum()])
    targets = share * features.sum(axis=0)
    number = int(np.clip(round(share * len(amounts)), 1, len(amounts) - 1))
    best, best_cost = np.zeros(0, bool), np.inf
    for _ in range(STARTS):
        chosen = np.zeros(len(amounts), bool)
        chosen[rng.permutation(len(amounts))[:number]] = True
        cost = _improve(features, targets, chosen, is_fixed, rng)
        if cost < best_cost - MIN_GAIN:
            best, best_cost = chosen, cost
    return best


def _improve(features: np.ndarray, targets: np.ndarray, chosen: np.ndarray, is_fixed: bool, rng: np.random.Generator) -> float:
    """Exchange groups in place while that helps; return the squared distance."""
    rest = features[chosen].sum(axis=0) - targets
    is_moving = True
    while is_moving:
        is_moving = False
        for group in rng.permutation(len(features)):
            if not chosen[group]:
                continue
            others = np.flatnonzero(~chosen)
            differences = rest - features[group] + features[others]
            costs = (differences**2).sum(axis=1)
            if costs.min() < (rest**2).sum() - MIN_GAIN:
                chosen[group], chosen[others[costs.argmin()]] = False, True
                rest = features[chosen].sum(axis=0) - targets
                is_moving = True
        if not is_fixed:
            is_moving |= _move_one(features, targets, chosen)
            rest = features[chosen].sum(axis=0) - targets
    return float((rest**2).sum())


def _move_one(features: np.ndarray, targets: np.ndarray, chosen: np.ndarray) -> bool:
    """Move the group to the other part that helps most; return whether one does."""
    rest = features[chosen].sum(axis=0) - targets
    signs = np.where(chosen, -1.0, 1.0)
    costs = ((rest + signs[:, None] * features) ** 2).sum(axis=1)
    if chosen.sum() == 1:
        costs[chosen] = np.inf
    if (~chosen).sum() == 1:
        costs[~chosen] = np.inf
    if costs.min() >= (rest**2).sum() - MIN_GAIN:
        return False
    chosen[costs.argmin()] ^= True
    return True
