"""The measures give made-up models, whose worth is known, the score they deserve."""

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from csvae_cli.config import DataConfig, ModelConfig, RunConfig, TrainingConfig
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Dataset, Split
from csvae_cli.data.encoding import encode_split
from csvae_cli.device import Compute
from csvae_cli.evaluation import (
    cache,
    factors,
    fidelity,
    judging,
    leak,
    method_two,
    naturalness,
    recognition,
    strata,
    switching,
)
from csvae_cli.evaluation.evaluate import measure
from csvae_cli.evaluation.figures import MEANINGS, Figure
from csvae_cli.evaluation.judging import Court
from csvae_cli.evaluation.recognition import one_of_ten
from csvae_cli.evaluation.report import rows as table_rows
from csvae_cli.evaluation.subject import make
from csvae_cli.evaluation.switching import mean_pairwise_square
from csvae_cli.runs import Model, Statistics
from models.filters import blurred
from models.judge import Judge, fit_judge
from models.kind import Codes, Kind
from models.subspace import SubspaceStatistics, describe, plane

CPU = Compute(torch.device("cpu"), "fp32", "for tests")
JUDGED = {
    *("accepted", "added", "added_floor", "added_mean", "added_worst", "removed", "kept", "kept_of_seen"),
    *("recognised", "recognised_ceiling"),
}


def nobody(*_):
    """Who is told of progress."""


# Pictures of two colours, above and below; half of them with a bright bar, whose colour is its style.

SIZE, COUNTS = 16, {"train": 320, "valid": 400, "test": 80}
BAR = (slice(2, 6), slice(6, 10))
MIDDLE, REACH = 223, 32  # of the bar's colours, of 255


def split_of(count, seed):
    """Half of them with a bar; who it is says nothing about it."""
    draw = np.random.default_rng(seed)
    above, below = draw.integers(20, 121, (2, count, 3))
    red, blue = draw.integers(MIDDLE - REACH, MIDDLE + REACH + 1, (2, count))
    labels = (np.arange(count) % 2).astype(np.int8)
    x = np.empty((count, SIZE, SIZE, 3), np.uint8)
    x[:, : SIZE // 2] = above[:, None, None]
    x[:, SIZE // 2 :] = below[:, None, None]
    colour = np.stack([red, red, blue], axis=1)[:, None, None]
    bars = np.where(labels[:, None, None, None] == 1, colour, x[:, *BAR])
    x[:, *BAR] = bars
    brightness = np.where(labels == 1, red, np.nan).astype(np.float32)
    return Split(x, labels[:, None], tuple(map(str, range(count))), {"bar_brightness": brightness})


@pytest.fixture(scope="module")
def bars():
    return Dataset(
        ("bar",), {name: split_of(count, seed) for seed, (name, count) in enumerate(COUNTS.items())}, "bars"
    )


def identity_of(x):
    return torch.cat([x[:, :, 0, 0], x[:, :, -1, 0]], dim=1)


def style_of(x):
    """(0, 0) without a bar, about 2 … 4 in both coordinates with one."""
    colour = x[:, [0, 2], 3, 7]
    seen = colour[:, :1] > 0.6
    return torch.where(seen, (255 * colour - MIDDLE) / REACH + 3, 0.0)


def drawn(identity, style):
    x = torch.empty(len(identity), 3, SIZE, SIZE)
    x[:, :, : SIZE // 2] = identity[:, :3, None, None]
    x[:, :, SIZE // 2 :] = identity[:, 3:6, None, None]
    colour = ((style[:, [0, 0, 1]] - 3) * REACH + MIDDLE) / 255
    seen = (style[:, :1] > 1)[..., None, None]
    x[:, :, *BAR] = torch.where(seen, colour[..., None, None], x[:, :, *BAR])
    return x


class Made(Kind):
    """A kind that was never trained. `number` stands for its weights."""

    owners = {}  # noqa: RUF012
    dims = (2,)

    def __init__(self, number=0, shape=(3, SIZE, SIZE), latent_dim=6):
        super().__init__(shape, len(self.dims), latent_dim, "sum")
        self.w_dims = self.dims
        self.register_buffer("number", torch.tensor(float(number)))

    def groups(self):
        return {}

    def terms(self, x, y, noise):
        raise NotImplementedError

    def anchors(self, attribute):
        return torch.zeros(self.dims[attribute]), torch.full((self.dims[attribute],), 3.0)

    def codes(self, z, *w):
        return Codes(z, torch.full_like(z, -9), w, tuple(torch.full_like(v, -9) for v in w))


class Ideal(Made):
    """z is who it is, w is the style."""

    def encode(self, x, y=None):  # noqa: ARG002
        return self.codes(identity_of(x), style_of(x))

    def decode(self, z, w):
        return drawn(z, w[0])


class IgnoresW(Ideal):
    """z holds everything, the bar too, and the picture is drawn from it alone."""

    def encode(self, x, y=None):  # noqa: ARG002
        return self.codes(torch.cat([identity_of(x), style_of(x)], dim=1), style_of(x))

    def decode(self, z, w):  # noqa: ARG002
        return drawn(z[:, :6], z[:, 6:])


class CopiesLabel(Ideal):
    """The ideal one, but that the label stands in z once more, where nobody uses it."""

    def encode(self, x, y=None):  # noqa: ARG002
        label = (style_of(x)[:, :1] > 0).float()
        return self.codes(torch.cat([identity_of(x), label], dim=1), style_of(x))


class ReturnsItsInput(Made):
    def encode(self, x, y=None):  # noqa: ARG002
        return self.codes(x.flatten(1), torch.zeros(len(x), 2))

    def decode(self, z, w):  # noqa: ARG002
        return z.unflatten(1, self.shape)


class Memorises(Made):
    """Knows its training pictures, and what they show, by heart; of others it makes up what comes to mind."""

    def __init__(self, number, training):
        super().__init__(number, latent_dim=2)
        self.pictures = torch.from_numpy(training.x).permute(0, 3, 1, 2) / 255
        self.known = {self.key(x): row for row, x in enumerate(self.pictures)}
        self.labels = training.labels[:, 0].tolist()

    def key(self, x):
        return (255 * x).round().byte().contiguous().numpy().tobytes()

    def thought(self, x):
        key = self.key(x)
        digest = sha256(key).digest()
        row = self.known.get(key, digest[1] * 256 + digest[2]) % len(self.labels)
        label = self.labels[row] if key in self.known else digest[0] % 2
        return float(label), row / len(self.labels)

    def encode(self, x, y=None):  # noqa: ARG002
        return self.codes(torch.tensor([self.thought(picture) for picture in x]), torch.zeros(len(x), 2))

    def decode(self, z, w):  # noqa: ARG002
        return self.pictures[(z[:, 1] * len(self.labels)).round().long()]


class Spills(Ideal):
    """The ideal one, but that a bar makes everything below brighter by a tenth."""

    def decode(self, z, w):
        x = super().decode(z, w)
        x[:, :, SIZE // 2 :] += 0.1 * (w[0][:, 0] > 1).float()[:, None, None, None]
        return x


def model_of(kind, data, attributes=None, subspaces=None, **options):
    attributes = attributes or data.attributes
    network = "points" if len(data.model_shape) == 1 else "light"
    config = ModelConfig("csvae", network, data.model_shape, attributes, latent_dim=2, **options)
    if subspaces is None:
        batches = Batches(data.splits["train"], CPU)
        codes, y = encode_split(kind, batches, len(batches), CPU, with_labels=False)
        columns = [data.attributes.index(name) for name in attributes]
        subspaces = [describe(w, y[:, column]) for w, column in zip(codes.w_mu, columns, strict=True)]
    run = RunConfig(config, TrainingConfig(1, {}), DataConfig("made-up", None, data.fingerprint))
    return Model(kind, run, Statistics(tuple(subspaces), torch.zeros(0), torch.zeros(0)), "made-up")


def subject_of(kind, data, split="valid", **options):
    return make(model_of(kind, data, **options), data, split, CPU)


def found(figures, name, attribute=None, detail=None):
    """The one figure of that name."""
    (figure,) = (
        figure
        for figure in figures
        if figure.name == name
        and attribute in (None, figure.attribute)
        and (detail is None or figure.detail.startswith(detail))
    )
    return figure


def value(figures, *which):
    return found(figures, *which).value


@pytest.fixture(scope="module")
def kinds(bars):
    return {
        "ideal": Ideal(1),
        "ignores w": IgnoresW(2, latent_dim=8),
        "copies y": CopiesLabel(3, latent_dim=7),
        "returns": ReturnsItsInput(4, latent_dim=3 * SIZE * SIZE),
        "memorises": Memorises(5, bars.splits["train"]),
    }


@pytest.fixture(scope="module")
def kept_at(tmp_path_factory):
    """The cache of this file's evaluations."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(kept_at, monkeypatch):
    monkeypatch.setenv("CSVAE_CACHE", str(kept_at))


@pytest.fixture(scope="module")
def measured(bars, kinds, kept_at):
    """All figures of all made-up models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CSVAE_CACHE", str(kept_at))
        return {
            name: measure(subject_of(kind, bars), "bars", "valid", nobody) for name, kind in kinds.items()
        }


NOISE = 4 * np.sqrt(0.25 / 200 / 2)
"""Four standard deviations of a guess's balanced accuracy on 200 pictures of each class."""

PERFECT = ("leak_w", "leak_w_auroc", "accepted", "added", "added_mean", "added_worst", "removed", "kept")


@pytest.mark.parametrize("name", ["ideal", "copies y"])
def test_a_model_that_separates_is_given_everything(measured, name):
    figures = measured[name]
    for figure in PERFECT:
        assert value(figures, figure) >= 0.98, figure
    assert value(figures, "squared_error") < 1e-6
    assert value(figures, "ssim") > 0.9999
    assert value(figures, "variety") > 0.05
    assert value(figures, "factor", "bar", "brightness from w_bar") > 0.95
    assert value(figures, "factor", "bar", "brightness from z") < 0.2


def test_the_leak_of_a_model_that_separates_is_chance(measured):
    assert value(measured["ideal"], "leak_z") == pytest.approx(0.5, abs=NOISE)
    assert value(measured["ideal"], "leak_z_auroc") == pytest.approx(0.5, abs=NOISE)


def test_a_label_in_z_is_found_though_nothing_else_betrays_it(measured):
    copied, ideal = measured["copies y"], measured["ideal"]
    assert value(copied, "leak_z") == value(copied, "leak_z_auroc") == 1
    others = [figure for figure in copied if not figure.name.startswith(("leak_z", "factor"))]
    assert others == [figure for figure in ideal if not figure.name.startswith(("leak_z", "factor"))]


def test_a_decoder_that_ignores_w_edits_nothing(measured):
    figures = measured["ignores w"]
    assert value(figures, "leak_z") > 0.98
    assert value(figures, "leak_w") > 0.98
    for figure in ("added", "added_mean", "added_worst", "removed", "accepted"):
        assert value(figures, figure) <= 0.02, figure
    assert value(figures, "kept") >= 0.98
    assert value(figures, "variety") == value(figures, "change_outside") == 0
    assert value(figures, "squared_error") < 1e-6


def test_a_model_that_returns_its_input_is_faithful_and_nothing_more(measured):
    figures = measured["returns"]
    assert value(figures, "squared_error") == 0
    assert value(figures, "ssim") == pytest.approx(1, abs=1e-3)
    assert value(figures, "distance_outside") == 0
    assert value(figures, "leak_z") > 0.98
    assert value(figures, "leak_w") == 0.5
    for figure in ("added", "added_worst", "removed"):
        assert value(figures, figure) <= 0.02, figure


def test_what_is_learned_by_heart_does_not_count(measured, bars, kinds):
    figures = measured["memorises"]
    assert value(figures, "leak_z") == pytest.approx(0.5, abs=NOISE)
    assert value(figures, "squared_error") > 10

    subject = subject_of(kinds["memorises"], bars, split="train")
    assert value(leak.figures(subject, nobody), "leak_z") == 1
    assert value(fidelity.figures(subject), "squared_error") == 0


def test_every_figure_says_on_how_much_it_rests(measured):
    for figures in measured.values():
        judge = value(figures, "judge")
        assert judge >= 0.98
        assert {figure.name for figure in figures if figure.judge is not None} == JUDGED
        assert {figure.judge for figure in figures if figure.judge is not None} == {judge}
        assert {figure.name for figure in figures} <= set(MEANINGS)
        pictures = {figure.name: figure.pictures for figure in figures}
        whole = ("leak_z", "leak_w", "accepted", "judge", "judge_blurred", "squared_error", "psnr", "ssim")
        assert {pictures[name] for name in whole} == {400}
        halves = ("added", "removed", "kept", "added_mean", "added_worst", "factor")
        assert {pictures[name] for name in halves} == {200}
        assert pictures["variety"] == pictures["change_outside"] == 100


def test_an_edit_changes_its_region_and_hardly_anything_else(measured, bars, kinds):
    (region,) = judging.convene(subject_of(kinds["ideal"], bars), nobody).regions
    assert region.shape == (SIZE, SIZE)
    assert region[BAR].float().mean() >= 0.75
    assert not region[SIZE // 2 :].any()
    assert region.sum() <= 2 * region[BAR].numel()

    subject = subject_of(kinds["ideal"], bars)
    without = (subject.y_held[:, 0] == 0).nonzero()[:, 0]
    mean = subject.model.statistics.subspaces[0].present_mean
    own, edited = (torch.cat(list(subject.changed(without, points))) for points in ({}, {0: mean}))
    inside = (edited - own)[:, :, region].square().mean().sqrt()
    assert value(measured["ideal"], "change_outside") < 0.2 * inside


# The same by hand: a judge that sees a bar where it is bright, and a region that is the bar.


class SeesBars(nn.Module):
    def forward(self, x):
        return 50 * (x[:, :1, *BAR].mean((2, 3)) - 0.6)


@pytest.fixture(scope="module")
def court():
    region = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    region[BAR] = True
    return Court(Judge(SeesBars(), False), (region,), (0.9,), (0.8,))


def test_variety_and_change_by_hand(bars, court):
    subject = subject_of(Spills(6), bars)
    figures = switching.figures(subject, court, nobody)
    assert {figure.judge for figure in figures if figure.name in JUDGED} == {0.9}
    # Outside the bar's 16 pixels are 240, of which the lower 128 change by a tenth.
    spilt = 0.1 * np.sqrt(128 / 240)
    assert value(figures, "change_outside") == pytest.approx(spilt, rel=1e-4)
    assert value(figures, "distance_outside") == pytest.approx(spilt, rel=1e-4)

    styles = plane(subject.model.statistics.subspaces[0], 5, 5, 2.0)
    colours = ((styles[:, [0, 0, 1]] - 3) * REACH + MIDDLE).clamp(0, 255) / 255
    apart = [(one - other).square().mean() for one, other in combinations(colours, 2)]
    expected = float(torch.stack(apart).mean().sqrt())
    assert value(figures, "variety") == pytest.approx(expected, rel=1e-4)


def test_styles_that_are_not_accepted_show_in_the_mean_and_in_the_worst(bars, court):
    class OnlyRed(Ideal):
        """Draws a bar only where its red is above the mean: 2 of the 5 columns, and never at the mean."""

        def decode(self, z, w):
            red = w[0][:, :1]
            return drawn(z, torch.where(red > 3.15, w[0], 0.0))

    figures = switching.figures(subject_of(OnlyRed(7), bars), court, nobody)
    assert value(figures, "added_mean") == pytest.approx(2 / 5)
    assert value(figures, "added_worst") == value(figures, "added") == 0
    assert value(figures, "removed") == 1
    assert value(figures, "accepted") == 0.5


def test_mean_pairwise_square_is_the_mean_over_pairs():
    noise = torch.Generator().manual_seed(0)
    styles = torch.randn(5, 3, 2, 4, 4, generator=noise)
    mask = (torch.rand(4, 4, generator=noise) > 0.5).float()
    where = mask.bool()
    apart = [(one - other)[..., where].square().mean() for one, other in combinations(styles, 2)]
    assert float(mean_pairwise_square(styles, mask)) == pytest.approx(float(torch.stack(apart).mean()))


def test_figures_are_json_whatever_they_are():
    for odd in (float("nan"), float("inf")):
        line = Figure("psnr", odd, 3, judge=odd).as_json()
        assert line == {"name": "psnr", "value": None, "pictures": 3}
        json.dumps(line, allow_nan=False)
    assert Figure("kept", 0.123456789, 3, "bar", judge=0.5).as_json() == {
        "name": "kept",
        "value": 0.12346,
        "pictures": 3,
        "attribute": "bar",
        "judge": 0.5,
    }
    assert table_rows([Figure("kept", float("nan"), 3)])[0][2] == "–"


def test_a_style_that_nobody_shows_has_no_figure(bars, kinds):
    hidden = {"bar_brightness": np.full(80, np.nan, np.float32)}
    part = replace(bars.splits["test"], factors=hidden)
    subject = subject_of(kinds["ideal"], replace(bars, splits={**bars.splits, "test": part}), "test")
    assert factors.figures(subject, "test", nobody) == []


# What is kept.


def stamps(folder):
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (folder / "evaluation").iterdir()
    }


def test_a_second_time_nothing_is_made(measured, bars, kinds, kept_at):
    before = stamps(kept_at)
    assert sum(name.startswith("judge-") for name in before) == 1
    assert sum(name.startswith("floors-") for name in before) == 1
    assert sum(name.startswith("probes-") for name in before) >= len(kinds)
    again = measure(subject_of(kinds["ideal"], bars), "bars", "valid", nobody)
    assert again == measured["ideal"]
    assert stamps(kept_at) == before


@pytest.mark.usefixtures("measured")
def test_other_weights_or_another_split_are_measured_anew(bars, tmp_path, kept_at, monkeypatch):
    shutil.copytree(kept_at, tmp_path / "cache")
    monkeypatch.setenv("CSVAE_CACHE", str(tmp_path / "cache"))
    met = set(stamps(tmp_path / "cache"))
    both, probes = {"probes", "floors"}, {"probes"}
    for number, split, made in ((100, "test", both), (101, "test", probes), (1, "test", probes)):
        figures = measure(subject_of(Ideal(number), bars, split), "bars", split, nobody)
        assert found(figures, "leak_z").pictures == 80
        there = set(stamps(tmp_path / "cache"))
        assert {new.partition("-")[0] for new in there - met} == made  # the data's floor only once
        met = there


@pytest.mark.parametrize("share", [0, 0.6])
def test_a_damaged_file_is_made_again(measured, bars, kinds, tmp_path, kept_at, monkeypatch, share):
    shutil.copytree(kept_at, tmp_path / "cache")
    monkeypatch.setenv("CSVAE_CACHE", str(tmp_path / "cache"))
    damaged = list((tmp_path / "cache" / "evaluation").glob("probes-*" if share else "*"))
    whole = {path: path.read_bytes() for path in damaged}
    for path, content in whole.items():
        path.write_bytes(content[: int(share * len(content))])
    assert measure(subject_of(kinds["ideal"], bars), "bars", "valid", nobody) == measured["ideal"]
    mended = [path for path in damaged if path.read_bytes() == whole[path]]
    assert len(mended) == (1 if share else 3)  # of this model, not of the others


def test_keys_are_of_all_that_they_are_made_of():
    weights = {"a": torch.zeros(2), "b": torch.ones(1)}
    assert cache.of_tensors(weights) == cache.of_tensors(dict(reversed(weights.items())))
    others = [
        {**weights, "b": torch.full((1,), 1.0000001)},
        {"a": torch.ones(1), "b": torch.zeros(2)},
        {"a": torch.zeros(2)},
    ]
    keys = {cache.of_tensors(tensors) for tensors in (weights, *others)}
    assert len(keys) == 4
    assert cache.key("ab", "c") != cache.key("a", "bc")
    assert cache.key("a", 1) == cache.key("a", 1)


# Probes.


def normal(count, columns, seed):
    return torch.randn(count, columns, generator=torch.Generator().manual_seed(seed))


def labels(count, seed=7):
    return (torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.5).to(torch.int8)


def read(codes, y, fitted):
    return leak.read("z", "bar", codes[:fitted], y[:fitted], codes[fitted:], y[fitted:])


def test_a_label_along_a_line_is_read():
    y = labels(900)
    codes = normal(900, 5, 0)
    codes[:, 3] += 6.0 * y
    accuracy, auroc = read(codes, y, 600)
    assert (accuracy.name, auroc.name) == ("leak_z", "leak_z_auroc")
    assert accuracy.value > 0.97
    assert auroc.value > 0.99
    assert accuracy.pictures == 300


def test_a_label_that_no_line_finds_is_read_by_another_probe():
    codes = normal(1600, 2, 1)
    y = ((codes[:, 0] > 0) ^ (codes[:, 1] > 0)).to(torch.int8)
    accuracy, auroc = read(codes, y, 1200)
    assert accuracy.value > 0.9
    assert auroc.value > 0.9
    assert accuracy.detail in ("nearest", "mlp")


def test_a_label_that_is_not_there_is_not_read():
    accuracy, _ = read(normal(1600, 4, 2), labels(1600), 600)
    assert accuracy.value == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 500 / 2))


def test_codes_that_say_nothing_score_a_half_however_rare_the_label():
    y = (torch.arange(400) % 10 == 0).to(torch.int8)
    accuracy, auroc = read(torch.full((400, 3), 0.7), y, 200)
    assert accuracy.value == auroc.value == 0.5


def test_rows_of_unknown_label_are_left_out():
    y = labels(900)
    codes = normal(900, 2, 3)
    codes[:, 0] += 8.0 * y
    unknown = torch.arange(900) % 3 == 0
    codes[unknown, 0] *= -1  # they would teach and score the opposite
    y[unknown] = -1
    accuracy, _ = read(codes, y, 600)
    assert accuracy.value > 0.97
    assert accuracy.pictures == 200


@pytest.mark.parametrize("part", ["fitted", "scored"])
def test_a_single_class_gives_no_figure(part):
    y = labels(100)
    y[slice(0, 60) if part == "fitted" else slice(60, 100)] = 1
    assert read(normal(100, 2, 4), y, 60) == []


# Two attributes: points (a, b) of ±1, whose columns stand the other way round in the data.


class TwoAttributes(Made):
    """w_a holds a and, which it should not, b; w_b holds b; z holds noise and a."""

    dims = (2, 1)

    def encode(self, x, y=None):  # noqa: ARG002
        return self.codes(x[:, [0, 2]], x[:, :2], x[:, 1:2])

    def decode(self, z, w):
        return torch.cat([w[0][:, :1], w[1], z[:, 1:]], dim=1)

    def anchors(self, attribute):
        return -torch.ones(self.dims[attribute]), torch.ones(self.dims[attribute])

    def adversary_logits(self, z):
        return torch.stack([z[:, 0], torch.ones(len(z))], dim=1)


def corners(count, seed):
    draw = np.random.default_rng(seed)
    signs = draw.choice([-1, 1], (count, 2))
    x = np.concatenate([signs, draw.normal(size=(count, 1))], axis=1).astype(np.float32)
    return Split(x, (signs[:, ::-1] > 0).astype(np.int8).copy(), tuple(map(str, range(count))))


@pytest.fixture(scope="module")
def squares():
    return Dataset(("b", "a"), {"train": corners(300, 0), "valid": corners(400, 1)}, "squares")


def two(squares, **options):
    return subject_of(TwoAttributes(8, (3,), 2), squares, attributes=("a", "b"), **options)


def test_leaks_from_one_attribute_to_another(squares):
    figures = leak.figures(two(squares), nobody)
    assert value(figures, "leak_z", "a") == 1
    assert value(figures, "leak_z", "b") == pytest.approx(0.5, abs=NOISE)
    assert value(figures, "leak_w", "a") == value(figures, "leak_w", "b") == 1
    assert value(figures, "leak_other_w", "b", "a, ") == 1
    assert value(figures, "leak_other_w", "a", "b, ") == pytest.approx(0.5, abs=NOISE)
    assert value(figures, "adversary", "a") == 1
    assert value(figures, "adversary", "b") == 0.5


class SeesSigns(nn.Module):
    def forward(self, x):
        return 9 * x[:, [1, 0]]


def test_each_attribute_is_judged_in_its_own_column(squares):
    court = Court(Judge(SeesSigns(), False), (), (0.7, 0.9), (0.7, 0.9))
    figures = switching.figures(two(squares), court, nobody)
    for name, accuracy in (("a", 0.9), ("b", 0.7)):
        for figure in ("added", "removed", "kept", "added_worst"):
            assert value(figures, figure, name) == 1
            assert found(figures, figure, name).judge == accuracy
    assert value(judging.figures(two(squares), court), "judge", "a") == 0.9
    # Points have no region.
    assert not {"variety", "change_outside", "distance_outside"} & {figure.name for figure in figures}


def test_an_attribute_that_is_only_kept_is_not_edited(squares):
    subject = two(squares, keep=("b",))
    court = Court(Judge(SeesSigns(), False), (), (0.7, 0.9), (0.7, 0.9))
    assert {figure.attribute for figure in switching.figures(subject, court, nobody)} == {"a"}
    assert value(leak.figures(subject, nobody), "leak_z", "b") == pytest.approx(0.5, abs=NOISE)


def test_a_kept_attribute_that_nobody_held_out_has(squares):
    held = squares.splits["valid"]
    chosen = held.labels[:, 0] == 0
    part = Split(held.x[chosen], held.labels[chosen], tuple(np.array(held.names)[chosen]))
    data = Dataset(squares.attributes, {"train": squares.splits["train"], "valid": part}, "no b")
    figures = measure(two(data, keep=("b",)), "squares", "valid", nobody)
    assert value(figures, "leak_z", "a") == value(figures, "added", "a") == value(figures, "kept", "a") == 1
    assert {figure.name for figure in figures if figure.attribute == "b"} == {"judge", "judge_blurred"}
    assert found(figures, "judge", "b").as_json()["value"] is None


# The judge.


@pytest.mark.parametrize("sigma", [0.5, 2.0, 5.0])
def test_blurring_is_a_gaussian(sigma):
    x = torch.rand(2, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    for picture, soft in zip(x.flatten(0, 1), blurred(x, sigma).flatten(0, 1), strict=True):
        expected = gaussian_filter(picture.double().numpy(), sigma, mode="nearest", truncate=4.0)
        np.testing.assert_allclose(soft.numpy(), expected, atol=1e-5)


def test_blurring_keeps_one_colour_and_moves_light_without_losing_it():
    flat = torch.full((1, 3, 16, 16), 0.7)
    assert torch.allclose(blurred(flat, 2.0), flat)
    spot = torch.zeros(1, 1, 32, 32)
    spot[0, 0, 15, 16] = 1
    soft = blurred(spot, 2.0)
    assert float(soft.sum()) == pytest.approx(1, rel=1e-5)
    assert float(soft.max()) == float(soft[0, 0, 15, 16]) < 0.05
    assert torch.equal(blurred(spot, 0.0), spot)


def stripes(count, classes, seed=0):
    """Grey pictures of noise with a bright stripe at one of some heights, and one-hot labels."""
    draw = torch.Generator().manual_seed(seed)
    shown = torch.arange(count) % classes
    x = 0.4 * torch.rand(count, 1, SIZE, SIZE, generator=draw)
    for row, place in enumerate(shown.tolist()):
        x[row, :, 5 * place + 1 : 5 * place + 4] += 0.5
    return x, nn.functional.one_hot(shown, classes).to(torch.int8)


def fitted(x, y, exclusive, epochs=4, seed=0):
    return fit_judge(
        lambda index: x[index],
        y,
        x.shape[1:],
        exclusive=exclusive,
        epochs=epochs,
        seed=seed,
        progress=nobody,
    )


def test_verdicts_are_exclusive_where_labels_are():
    x, y = stripes(384, 3)
    judge = fitted(x, y, exclusive=True, epochs=6)
    held, truth = stripes(60, 3, seed=1)
    seen = judge.present(held)
    assert seen.dtype == torch.bool
    assert torch.equal(seen, truth.bool())
    assert (judge.present(torch.rand(40, 1, SIZE, SIZE)).sum(1) == 1).all()
    torch.testing.assert_close(judge.probabilities(held).sum(1), torch.ones(60))


def test_a_judge_is_the_same_for_the_same_seed_and_leaves_the_callers_randomness():
    x, y = stripes(40, 3)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = fitted(x, y, exclusive=False, epochs=2).network.state_dict()
    assert torch.equal(torch.rand(3), expected)
    again = fitted(x, y, exclusive=False, epochs=2).network.state_dict()
    other = fitted(x, y, exclusive=False, epochs=2, seed=1).network.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_judge_does_not_deny_what_is_rare(exclusive):
    """Pictures that say nothing: a judge that knows only how rare the labels are must not use that."""
    shown = torch.tensor([0] * 8 + [1] + [2]).repeat(32)
    y = nn.functional.one_hot(shown, 3).to(torch.int8)
    judge = fitted(torch.full((320, 1, SIZE, SIZE), 0.5), y, exclusive, epochs=25)
    chance = 1 / 3 if exclusive else 1 / 2
    found_now = judge.probabilities(torch.full((1, 1, SIZE, SIZE), 0.5))[0]
    assert found_now.tolist() == pytest.approx([chance] * 3, abs=0.12)


@pytest.mark.parametrize("exclusive", [True, False])
def test_unknown_labels_teach_the_judge_nothing(exclusive):
    x, y = stripes(768, 3)
    held, truth = stripes(60, 3, seed=1)
    # Two in three of the last class are unknown: taken for the first class, or for absent, they would win.
    last = (y[:, 2] == 1).nonzero()[:, 0]
    y[last[torch.arange(len(last)) % 3 > 0]] = -1
    judge = fitted(x, y, exclusive, epochs=6)
    assert (judge.present(held) == truth.bool()).float().mean() > 0.97


# Method 2: grey pictures with a bar at one of three heights; people are their ground.

EXPRESSIONS = ("high", "middle", "low")
HEIGHTS = tuple(slice(5 * place + 1, 5 * place + 4) for place in range(3))
AREA = 3 * SIZE


class Actor(Made):
    """Draws just what the person would look like. w_i is the bar's level of 255, 0 where there is none."""

    dims = (1, 1, 1)

    def encode(self, x, y=None):  # noqa: ARG002
        levels = [255 * x[:, 0, height.start, :1] for height in HEIGHTS]
        return self.codes(255 * x[:, 0, :1, 0], *(torch.where(w > 80, w, 0.0) for w in levels))

    def decode(self, z, w):
        x = z[:, :, None, None].repeat(1, 1, SIZE, SIZE)
        for level, height in zip(w, HEIGHTS, strict=True):
            x[:, :, height] = torch.where(level > 80, level, z)[:, :, None, None]
        return x / 255


def acted(shown):
    """shown: (person, ground, expression, level of the bar)."""
    x = np.stack([np.full((SIZE, SIZE, 1), ground, np.uint8) for _, ground, _, _ in shown])
    for picture, (_, _, place, level) in zip(x, shown, strict=True):
        picture[HEIGHTS[place]] = level
    one_hot = np.eye(3, dtype=np.int8)[[place for _, _, place, _ in shown]]
    return Split(x, one_hot, tuple(map(str, range(len(x)))), identities=tuple(who for who, *_ in shown))


VALID, TEST = 170, 138
"""The levels of the bars of those who validate and of those who test."""


def scenes(valid, test):
    train = acted([(f"t{n}", 20 + n, n % 3, 150) for n in range(12)])
    return Dataset(EXPRESSIONS, {"train": train, "valid": acted(valid), "test": acted(test)}, "", True)


VALIDATING = [("v", 40, 0, VALID), ("v", 40, 1, VALID), ("v", 40, 2, VALID)]
TESTING = [
    *(("p", 30, 0, TEST), ("p", 30, 1, TEST)),
    *(("q", 60, 0, TEST), ("q", 60, 2, TEST), ("q", 60, 2, TEST)),
    ("alone", 50, 1, TEST),
    *(("", 10, 0, TEST), ("", 10, 1, TEST)),
]
PAIRS = 4  # p and q, there and back

# A plane along one dimension: 25 levels, 102 … 198 in steps of 4.
LEVELS = SubspaceStatistics(
    *(torch.tensor([level]) for level in (150.0, 0.0)),
    *(torch.ones(1, 1), torch.tensor([24.0]), torch.tensor([[150.0]])),
)


def compared(data, split, kind=None, **options):
    subject = subject_of(kind or Actor(9, (1, SIZE, SIZE), 1), data, split, subspaces=[LEVELS] * 3, **options)
    return method_two.figures(subject, split, nobody)


def lit(*levels):
    """The squared error of bars that are that much too bright or too dark."""
    return sum(AREA * (level / 255) ** 2 for level in levels)


def values(figures):
    return [value(figures, name) for name in ("target_changed", "original_changed", "target_original")]


def test_a_perfect_actor_leaves_nothing_between_target_and_changed():
    data = scenes(VALIDATING, TESTING)
    learnt = acted([("l", 50, place, VALID) for place in range(3)])
    data = replace(data, splits={**data.splits, "train": learnt})
    figures = compared(data, "valid", exclusive=True)
    assert {figure.pictures for figure in figures} == {6}
    moved = lit(VALID - 40, VALID - 40)  # one bar goes, another comes
    assert values(figures) == pytest.approx([0, moved, moved], rel=1e-4, abs=1e-4)


def test_the_style_of_validation_is_not_chosen_on_it():
    figures = compared(scenes(VALIDATING, TESTING), "valid", exclusive=True)
    assert value(figures, "target_changed") == pytest.approx(lit(VALID - 150), rel=1e-4)  # the class mean


def test_the_style_is_chosen_on_validation_whatever_the_test_split_would_like():
    figures = compared(scenes(VALIDATING, TESTING), "test", exclusive=True)
    assert {figure.pictures for figure in figures} == {PAIRS}
    grounds = (30, 60)
    original = sum(lit(TEST - g, TEST - g) for g in grounds) / 2
    changed = sum(lit(TEST - g, VALID - g) for g in grounds) / 2
    assert values(figures) == pytest.approx([lit(VALID - TEST), changed, original], rel=1e-4)

    others = [(f"like {who}", *shown) for who, *shown in TESTING]
    liked = compared(scenes(others, TESTING), "test", exclusive=True)
    assert value(liked, "target_changed") == pytest.approx(0, abs=1e-4)


def test_nobody_chooses_the_style_of_their_own_pictures():
    """Where a data set is not split by person: the class mean, as of the people themselves nobody is left."""
    figures = compared(scenes(TESTING, TESTING), "test", exclusive=True)
    assert value(figures, "target_changed") == pytest.approx(lit(150 - TEST), rel=1e-4)


def test_without_validating_people_the_style_is_the_class_mean():
    strangers = [("", *shown) for _, *shown in VALIDATING]
    figures = compared(scenes(strangers, TESTING), "test", exclusive=True)
    assert value(figures, "target_changed") == pytest.approx(lit(150 - TEST), rel=1e-4)


def test_several_pictures_of_an_expression_are_all_compared():
    """The second target is brighter than the first by 20."""
    people = [("p", 30, 0, VALID), ("p", 30, 1, VALID - 10), ("p", 30, 1, VALID + 10)]
    figures = compared(scenes(VALIDATING, people), "test", exclusive=True)
    there, back = lit(10), 0.0
    assert value(figures, "target_changed") == pytest.approx((there + back) / 2, rel=1e-4)


def test_where_labels_are_not_exclusive_the_persons_own_expression_stays():
    others = [(f"like {who}", *shown) for who, *shown in VALIDATING]
    figures = compared(scenes(others, VALIDATING), "test", exclusive=False)
    stays = lit(VALID - 40)
    assert values(figures) == pytest.approx([stays, stays, 2 * stays], rel=1e-4)


def test_nobody_known_nothing_compared():
    strangers = [("", *shown) for _, *shown in TESTING]
    alone = [(str(number), *shown) for number, (_, *shown) in enumerate(TESTING)]
    for people in (strangers, alone):
        assert compared(scenes(VALIDATING, people), "test", exclusive=True) == []
    data = scenes(VALIDATING, TESTING)
    test = replace(data.splits["test"], identities=())
    assert compared(replace(data, splits={**data.splits, "test": test}), "test", exclusive=True) == []


@pytest.mark.parametrize(
    ("preset", "exclusive", "points", "expected"),
    [
        ("default", True, True, "absent"),
        ("default", True, False, "own"),
        ("default", False, True, "own"),
        ("default", False, False, "own"),
        ("paper", False, True, "absent"),
        ("paper", False, False, "own"),
    ],
)
def test_what_an_edit_does_to_the_other_attributes(preset, exclusive, points, expected):
    data = scenes(VALIDATING, TESTING)
    model = model_of(Actor(9, (1, SIZE, SIZE), 1), data, subspaces=[LEVELS] * 3, exclusive=exclusive)
    model = replace(model, config=replace(model.config, preset=preset))
    assert model.others({1: torch.tensor([150.0])} if points else {}) == expected


# People alike in what edits leave alone.


@pytest.fixture(scope="module")
def hanging_together():
    """Bars (0, 1) almost only on pictures that are warm above; the second label says which are."""
    splits = {}
    for seed, (name, count) in enumerate({"train": 1600, "valid": 1600}.items()):
        whole = split_of(count, 10 + seed)
        warm = whole.x[:, 0, 0, 0] > 70
        bar = whole.labels[:, 0] == 1
        rows = np.flatnonzero(~bar | warm | (np.arange(count) % 97 == 1))
        labels = np.stack([bar, warm], axis=1).astype(np.int8)[rows]
        splits[name] = Split(whole.x[rows], labels, tuple(whole.names[row] for row in rows))
    return Dataset(("bar", "warm"), splits, "hanging together")


def test_a_leak_through_a_kept_label_is_none_within_strata(hanging_together):
    subject = subject_of(Ideal(), hanging_together, attributes=("bar",))
    assert value(leak.figures(subject, nobody), "leak_z") > 0.65
    within = found(strata.leaks(subject, nobody), "leak_z_strata")
    assert within.value == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / within.pictures))

    copied = subject_of(CopiesLabel(latent_dim=7), hanging_together, attributes=("bar",))
    assert value(strata.leaks(copied, nobody), "leak_z_strata") == 1


def test_an_attribute_is_tried_where_it_occurs(hanging_together):
    subject = subject_of(Ideal(), hanging_together, attributes=("bar",))
    warm = torch.from_numpy(hanging_together.splits["valid"].labels[:, 1]) == 1
    assert torch.equal(subject.likely(0), warm)
    alone = subject_of(Ideal(), hanging_together, attributes=("bar", "warm"), subspaces=subject_subspaces(2))
    assert alone.likely(0).all()  # nothing is left alone there, so there are no strata


def subject_subspaces(count):
    one = SubspaceStatistics(torch.zeros(2), torch.zeros(2), torch.eye(2), torch.ones(2), torch.zeros(1, 2))
    return [one] * count


def test_matched_rows_are_as_many_of_either_class_in_every_stratum():
    y = torch.tensor([1, 1, 0, 0, 0, 1, 0, -1, 1])
    groups = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2])
    rows = strata.matched(y, groups, least=1)
    assert torch.equal(rows, strata.matched(y, groups, least=1))
    for group, count in ((0, 2), (1, 1), (2, 0)):
        inside = y[rows[groups[rows] == group]]
        assert [(inside == label).sum().item() for label in (0, 1)] == [count, count]
    assert len(strata.matched(y, groups, least=2)) == 4


def test_donors_are_wearers_of_the_same_stratum():
    groups, wearers = torch.tensor([0, 1, 0, 1, 2]), torch.tensor([0, 1])
    assert strata.donors(groups, wearers, 0).tolist() == [0, 1, 0, 1, -1]


def test_edits_that_draw_what_wearers_have_cannot_be_told_from_wearers(measured):
    assert value(measured["ideal"], "naturalness") == pytest.approx(0.5, abs=0.1)
    assert value(measured["ignores w"], "naturalness") > 0.95


def test_who_wears_it_is_told_by_what_else_they_have_however_good_the_edit():
    splits = {}
    for seed, (name, count) in enumerate(COUNTS.items()):
        split = split_of(count, 30 + seed)
        x = split.x.copy()
        x[::2, SIZE // 2 :, :, 0] //= 4  # those without a bar are not so red below
        splits[name] = replace(split, x=x)
    data = Dataset(("bar",), splits, "redder with a bar")
    region = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    region[BAR] = True
    subject = subject_of(Ideal(), data)
    told = value(naturalness.figures(subject, nobody), "naturalness")
    assert told > 0.8
    floor = value(naturalness.floors(subject, [region], nobody), "naturalness_floor")
    assert floor == pytest.approx(told, abs=0.1)
    region[:] = True
    region[: SIZE // 2] = False  # what else they have is covered, and the bar itself is seen
    assert value(naturalness.floors(subject, [region], nobody), "naturalness_floor") > 0.95


def test_where_wearers_differ_in_nothing_else_the_floor_is_chance(measured, bars):
    assert value(measured["ideal"], "naturalness_floor") == pytest.approx(0.5, abs=0.1)
    everywhere = [torch.ones(SIZE, SIZE, dtype=torch.bool)]
    hidden = naturalness.floors(subject_of(Ideal(), bars), everywhere, nobody)
    assert value(hidden, "naturalness_floor") == pytest.approx(0.5, abs=1e-6)


def test_a_style_is_recognised_where_w_holds_it():
    splits = {}
    for seed, (name, count) in enumerate(COUNTS.items()):
        split = split_of(count, 20 + seed)
        bars = np.where(split.labels[:, 0, None, None, None] == 1, split.x[:, *BAR], 60)
        x = np.full_like(split.x, 60)
        x[:, *BAR] = bars
        splits[name] = replace(split, x=x)
    data = Dataset(("bar",), splits, "bars on one ground")
    for kind, expected in ((Ideal(), 1.0), (IgnoresW(latent_dim=8), 0.0)):  # a tie is no recognition
        subject = subject_of(kind, data)
        figures = recognition.figures(subject, judging.convene(subject, nobody), nobody)
        assert value(figures, "recognised") == pytest.approx(expected, abs=0.1)
        assert value(figures, "recognised_ceiling") > 0.9


def test_one_of_ten_is_chance_for_strangers_and_sure_of_itself():
    noise = torch.Generator().manual_seed(0)
    real, others = torch.randn(2, 400, 30, generator=noise)
    assert one_of_ten(real, real, noise) == 1
    assert one_of_ten(others, real, noise) == pytest.approx(0.1, abs=0.04)


def test_other_labels_move_where_an_edit_moves_them(hanging_together):
    class Cools(Ideal):
        """With a bar goes the warmth."""

        def decode(self, z, w):
            x = super().decode(z, w)
            x[:, 0, : SIZE // 2] -= 0.4 * (w[0][:, :1] > 1)[..., None]
            return x

    moved = {}
    for kind in (Ideal(), Cools()):
        subject = subject_of(kind, hanging_together, attributes=("bar",))
        figures = switching.figures(subject, judging.convene(subject, nobody), nobody)
        moved[type(kind)] = value(figures, "moved_removing", "bar", "warm")
    assert moved[Ideal] < 0.05
    assert moved[Cools] > 0.3
