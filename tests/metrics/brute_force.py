"""The definitions of the scores near borders and by object size, pixel by pixel, without OpenCV."""

import math

import numpy as np

from src.metrics.confusion import ConfusionMatrix

NUM_CLASSES = 4
IGNORED = 255
NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def random_pair(seed, size_hw=(60, 80)):
    """Return label and prediction: patches of some sizes, single pixels among them, a part of the label ignored."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, NUM_CLASSES, size_hw)
    for side in (20, 10, 5):
        patches = rng.integers(0, NUM_CLASSES, (size_hw[0] // side + 1, size_hw[1] // side + 1))
        patches = patches.repeat(side, axis=0).repeat(side, axis=1)[: size_hw[0], : size_hw[1]]
        is_there = rng.random((size_hw[0] // side + 1, size_hw[1] // side + 1)) < 0.8
        label = np.where(is_there.repeat(side, axis=0).repeat(side, axis=1)[: size_hw[0], : size_hw[1]], patches, label)
    dots = rng.random(size_hw) < 0.01
    label[dots] = rng.integers(0, NUM_CLASSES, dots.sum())
    prediction = np.roll(label, 2, axis=1)
    prediction[:, ::3] = label[:, ::3]
    noise = rng.random(size_hw) < 0.05
    prediction[noise] = rng.integers(0, NUM_CLASSES, noise.sum())
    label[10:16, 5:40] = IGNORED
    label[rng.random(size_hw) < 0.02] = IGNORED
    return label.astype(np.uint8), prediction.astype(np.uint8)


def check_sums(counts, pairs):
    """Check that a kind of counts of pairs of label and prediction adds up, over its bins, to their confusion matrix."""
    confusion = ConfusionMatrix(NUM_CLASSES)
    for label, prediction in pairs:
        confusion.update(prediction, label)
    right = np.diag(confusion.matrix)
    assert np.array_equal(counts.hits.sum(axis=1), right)
    assert np.array_equal(counts.misses.sum(axis=1), confusion.matrix.sum(axis=1) - right)
    assert np.array_equal(counts.false_alarms.sum(axis=1), confusion.matrix.sum(axis=0) - right)


def pixels_of(shape):
    return [(y, x) for y in range(shape[0]) for x in range(shape[1])]


def object_areas(classes, ignored):
    """Return the area of the 8-connected part of one class that each pixel belongs to, 0 where ignored, and (class, area) of each part."""
    areas, parts = np.zeros(classes.shape, int), []
    seen = ignored.copy()
    for start in pixels_of(classes.shape):
        if seen[start]:
            continue
        seen[start] = True
        part = [start]
        for y, x in part:  # grows while it is walked through
            for dy, dx in NEIGHBOURS:
                place = (y + dy, x + dx)
                inside = 0 <= place[0] < classes.shape[0] and 0 <= place[1] < classes.shape[1]
                if inside and not seen[place] and classes[place] == classes[start]:
                    seen[place] = True
                    part.append(place)
        for place in part:
            areas[place] = len(part)
        parts.append((int(classes[start]), len(part)))
    return areas, parts


def border_distance(label, ignored):
    """Return 1 more than the distance to the nearest pixel that has another class above, below, left or right of it; inf without one."""
    at_border = []
    for y, x in pixels_of(label.shape):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            place = (y + dy, x + dx)
            inside = 0 <= place[0] < label.shape[0] and 0 <= place[1] < label.shape[1]
            if inside and not ignored[y, x] and not ignored[place] and label[place] != label[y, x]:
                at_border.append((y, x))
                break
    if not at_border:
        return np.full(label.shape, math.inf)
    rows, columns = np.array(at_border).T
    return np.array(
        [[1 + math.sqrt(((rows - y) ** 2 + (columns - x) ** 2).min()) for x in range(label.shape[1])] for y in range(label.shape[0])]
    )


def near_its_end(classes, ignored, value, width):
    """Return the pixels of a class that have, within so many rows and columns, a counted pixel of another class or the outside."""
    near = np.zeros(classes.shape, bool)
    for y, x in pixels_of(classes.shape):
        if ignored[y, x] or classes[y, x] != value:
            continue
        touches_outside = y < width or x < width or y + width >= classes.shape[0] or x + width >= classes.shape[1]
        window = np.s_[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1]
        near[y, x] = touches_outside or ((classes[window] != value) & ~ignored[window]).any()
    return near


def binned(label, prediction, ignored, label_bins, prediction_bins, num_bins):
    """Return hits, misses and false alarms, each (K, B)."""
    counts = np.zeros((3, NUM_CLASSES, num_bins), int)
    for place in pixels_of(label.shape):
        if ignored[place]:
            continue
        if label[place] == prediction[place]:
            counts[0, label[place], label_bins[place]] += 1
        else:
            counts[1, label[place], label_bins[place]] += 1
            counts[2, prediction[place], prediction_bins[place]] += 1
    return counts
