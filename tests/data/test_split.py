from itertools import combinations

import numpy as np
import pytest

from src.data.balancing import choose_groups
from src.data.split import main
from src.runtime.entry import run
from tests.data.make_data import write_png


def make_folder(root, labels, names=None):
    """Write pictures 0, 1, ... with the given label arrays."""
    for number, pixels in enumerate(labels):
        name = names[number] if names else f"p{number:02d}"
        pixels = np.array(pixels, np.uint8)
        write_png(root / "images" / f"{name}.jpg", np.zeros((*pixels.shape, 3), np.uint8))
        write_png(root / "labels" / f"{name}.png", pixels)
    return root


def lists(root):
    return tuple([line.split("\t")[0] for line in (root / name).read_text().splitlines()] for name in ("train.lst", "val.lst"))


def cost(amounts, chosen, share):
    return ((amounts[list(chosen)].sum(axis=0) / amounts.sum(axis=0) - share) ** 2).sum()


def test_classes_have_equal_shares_where_they_can(tmp_path, capsys):
    # Classes 0 and 1 in six pictures, class 2 beside them in two alone: one of those must be among the four that validate.
    labels = [[[0, 0, 0, 1]]] * 6 + [[[0, 0, 2, 1]]] * 2
    make_folder(tmp_path, labels)
    assert main([str(tmp_path), "--val", "0.5"]) == 0
    train, val = lists(tmp_path)
    assert len(train) == len(val) == 4 and sorted(train + val) == [f"images/p{k:02d}.jpg" for k in range(8)]
    assert len({"images/p06.jpg", "images/p07.jpg"} & set(val)) == 1
    assert (tmp_path / "val.lst").read_text().startswith(f"{val[0]}\t{val[0].replace('images', 'labels').replace('jpg', 'png')}\n")
    table = capsys.readouterr().out.splitlines()
    assert table[3].split() == ["2", "6.250", "6.250", "50.00"] and table[-1].endswith("4 pictures in train.lst, 4 in val.lst")


@pytest.mark.parametrize("count, seed", [(9, 0), (12, 1), (18, 2), (18, 3)])  # up to 14 all are tried; more are searched
def test_pictures_as_good_as_trying_all(count, seed):
    amounts = np.random.default_rng(seed).gamma(0.3, size=(count, 5)) + 1e-6
    chosen = choose_groups(amounts, np.ones(count, int), 0.25, np.random.default_rng(seed))
    assert chosen.sum() == round(count / 4)
    best = min(cost(amounts, others, 0.25) for others in combinations(range(count), round(count / 4)))
    assert cost(amounts, np.flatnonzero(chosen), 0.25) == pytest.approx(best, rel=1e-9)


def size_cost(amounts, sizes, groups):
    return cost(amounts, groups, 0.3) / amounts.shape[1] + (sizes[list(groups)].sum() / sizes.sum() - 0.3) ** 2


def test_sequences_as_good_as_trying_all():
    rng = np.random.default_rng(4)
    sizes, amounts = rng.integers(1, 40, 9), rng.gamma(0.5, size=(9, 4)) + 1e-6
    chosen = choose_groups(amounts, sizes, 0.3, np.random.default_rng(0))
    best = min(size_cost(amounts, sizes, groups) for number in range(1, 9) for groups in combinations(range(9), number))
    assert size_cost(amounts, sizes, np.flatnonzero(chosen)) == pytest.approx(best, rel=1e-9)


def test_no_move_of_a_sequence_is_better():
    rng = np.random.default_rng(5)
    sizes, amounts = rng.integers(1, 40, 40), rng.gamma(0.5, size=(40, 4)) + 1e-6
    chosen = choose_groups(amounts, sizes, 0.3, np.random.default_rng(0))
    found = size_cost(amounts, sizes, np.flatnonzero(chosen))
    random = [size_cost(amounts, sizes, rng.permutation(40)[:12]) for _ in range(2000)]
    assert found < 0.5 * min(random)
    for one in range(40):
        for other in range(40):
            moved = chosen.copy()
            moved[[one, other]] = moved[[other, one]] if one != other else ~moved[[one, other]]
            assert size_cost(amounts, sizes, np.flatnonzero(moved)) > found - 1e-9


def test_two_groups_are_one_each():
    for sizes in ([1, 1], [99, 1], [1, 99]):
        assert choose_groups(np.array([[3.0], [1.0]]), np.array(sizes), 0.01, np.random.default_rng(0)).sum() == 1


def test_a_class_of_one_picture_is_trained(tmp_path, capsys):
    make_folder(tmp_path, [[[0, 0]]] * 9 + [[[0, 5]]])
    for seed in range(3):
        assert main([str(tmp_path), "--val", "0.3", "--seed", str(seed)]) == 0
        assert "images/p09.jpg" in lists(tmp_path)[0]
        assert "none in val" in capsys.readouterr().out
        for name in ("train.lst", "val.lst"):
            (tmp_path / name).unlink()


def test_the_seed_decides(tmp_path, capsys):
    labels = np.random.default_rng(0).integers(0, 3, (20, 4, 5))
    a, b, c = (make_folder(tmp_path / name, labels) for name in "abc")
    assert [main([str(root), "--val", "0.3", "--seed", seed]) for root, seed in ((a, "1"), (b, "1"), (c, "2"))] == [0, 0, 0]
    assert lists(a) == lists(b) != lists(c) and len(lists(a)[1]) == 6
    before = (a / "val.lst").stat().st_mtime_ns
    assert main([str(a), "--val", "0.3", "--seed", "1"]) == 0  # the same: nothing to do
    assert (a / "val.lst").stat().st_mtime_ns == before
    (a / "train.lst").unlink()
    assert run(main, [str(a), "--val", "0.3", "--seed", "2"]) == 2
    assert "val.lst: is there with other lines" in capsys.readouterr().err and not (a / "train.lst").exists()


def test_sequences_stay_together(tmp_path, capsys):
    names = [f"{name}/{name}_{number}" for name, count in (("one", 2), ("two", 2), ("six", 6)) for number in range(count)]
    make_folder(tmp_path, [[[k % 2, 3]] for k in range(10)], names)
    assert main([str(tmp_path), "--val", "0.2", "--by", "sequence", "--pattern", r"([a-z]+)_\d+\.jpg$"]) == 0
    train, val = lists(tmp_path)
    assert len(val) == 2 and {path.split("/")[1] for path in val}.isdisjoint({path.split("/")[1] for path in train})
    assert "in 3 sequences, 1 of them in val" in capsys.readouterr().out


def test_pairs_of_a_list_and_ignored_values(tmp_path, capsys):
    make_folder(tmp_path, [[[k % 2, 11]] for k in range(4)])
    (tmp_path / "all.txt").write_text("".join(f"images/p{k:02d}.jpg labels/p{k:02d}.png\n" for k in range(4)))
    assert main([str(tmp_path), "--list", "all.txt", "--val", "0.5", "--ignore_label", "11", "255"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == ["0", "1"]
    (tmp_path / "all.txt").write_text("images/p00.jpg labels/p00.png\n" * 2)
    assert run(main, [str(tmp_path), "--list", "all.txt", "--val", "0.5"]) == 2
    assert "all.txt:2:" in capsys.readouterr().err


def test_what_is_divided_already_stays_so_unless_asked(tmp_path, capsys):
    make_folder(tmp_path, [[[0, 1]]] * 4, ["train/a", "train/b", "val/c", "val/d"])
    assert run(main, [str(tmp_path), "--val", "0.5"]) == 2
    assert "images: is divided already, into train and val" in capsys.readouterr().err and not list(tmp_path.glob("*.lst"))
    assert main([str(tmp_path), "--val", "0.5", "--redivide"]) == 0
    assert sorted(sum(lists(tmp_path), [])) == [f"images/{name}.jpg" for name in ("train/a", "train/b", "val/c", "val/d")]


def spoil_size(root):
    write_png(root / "labels" / "p01.png", np.zeros((3, 3), np.uint8))


def spoil_type(root):
    write_png(root / "labels" / "p01.png", np.zeros((1, 2, 3), np.uint8))


def spoil_classes(root):
    for path in (root / "labels").iterdir():
        write_png(path, np.full((1, 2), 255, np.uint8))


def double_stem(root):
    write_png(root / "images" / "p01.png", np.zeros((1, 2, 3), np.uint8))


def one_picture(root):
    for path in [*root.glob("*/p01*"), *root.glob("*/p02*")]:
        path.unlink()


SEQUENCE = ("--by", "sequence", "--pattern")


@pytest.mark.parametrize(
    "spoil, words, message",
    [
        (spoil_size, (), "p01.jpg is 2x1 pixels but its label"),
        (spoil_type, (), "a label of mode RGB"),
        (spoil_classes, (), "there is no class to stratify by"),
        (double_stem, (), "have the same stem"),
        (one_picture, (), "1 picture cannot be divided"),
        (lambda root: (root / "labels" / "p01.png").unlink(), (), "labels/p01.png: no such file"),
        (lambda root: (root / "images" / "p01.jpg").unlink(), (), "images/p01.jpg: no such file"),
        (None, ("--images", "pictures"), "pictures: no such folder; --images and --labels name folders"),
        (None, (*SEQUENCE, "("), "is no regular expression"),
        (None, (*SEQUENCE, "p"), "has 0 groups; expected one"),
        (None, (*SEQUENCE, "/(p)"), "finds the one sequence 'p'"),
        (None, (*SEQUENCE, "/(x)"), "finds no sequence in images/p00.jpg"),
        (None, ("--list", "none.txt"), "no such list"),
    ],
)
def test_refusals(tmp_path, capsys, spoil, words, message):
    make_folder(tmp_path, [[[0, 1]]] * 3)
    if spoil:
        spoil(tmp_path)
    assert run(main, [str(tmp_path), "--val", "0.4", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.glob("*.lst"))


@pytest.mark.parametrize("words", [("--val", "1"), ("--val", "0.2", "--by", "sequence"), ("--val", "0.2", "--seed", "-1"), ()])
def test_refused_words(tmp_path, words):
    with pytest.raises(SystemExit) as refused:
        main([str(tmp_path), *words])
    assert refused.value.code == 2
