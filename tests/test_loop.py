"""The training loop: what it feeds, how far it steps, when it stops, and what it says."""

import math
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from csvae_cli.config import TrainingConfig
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Split
from csvae_cli.device import Compute, resolve
from csvae_cli.errors import WorkError
from csvae_cli.interrupt import polite_stop
from csvae_cli.runs import Run
from csvae_cli.training import checkpoint
from csvae_cli.training.clock import Clock
from csvae_cli.training.loop import Epoch, Tick, learning_rate, train
from csvae_cli.training.report import _looked_at
from csvae_cli.training.state import State, start
from models.adversary import Shown
from models.kind import Codes, Kind, build

CPU = Compute(torch.device("cpu"), "fp32", "for tests")
WEIGHTS = {"recon": 1.0, "kl_z": 0.2, "kl_w": 1.0, "neg_entropy": 10.0, "adversary": 1.0}


class Scales(Kind):
    """A kind that can be followed by hand: two lone numbers for parameters, and it remembers what it saw.

    Its terms are the numbers themselves (a gradient of 1, so that each of Adam's steps is its rate) and the
    mean of what it was given.
    """

    owners = {"slope": "autoencoder", "data": "autoencoder", "adversary": "adversary"}  # noqa: RUF012
    w_dims = (1,)

    def __init__(self):
        super().__init__((1,), labels=1, latent_dim=1, reduction="sum")
        self.slope = torch.nn.Parameter(torch.zeros(()))
        self.reader = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def groups(self):
        return {"autoencoder": [self.slope], "adversary": [self.reader]}

    def terms(self, x, y, noise):  # noqa: ARG002
        self.seen.append(x.clone())
        self.shown = Shown(x, y)
        terms = {"slope": self.slope.clone(), "data": x.mean() + 0 * self.slope}
        return {**terms, **self.adversary_terms(self.shown)}

    def adversary_terms(self, shown):  # noqa: ARG002
        return {"adversary": self.reader.clone()}

    def encode(self, x, y=None):  # noqa: ARG002
        return Codes(x, x, (x,), (x,))

    def decode(self, z, w):  # noqa: ARG002
        return z

    def anchors(self, attribute):  # noqa: ARG002
        return torch.zeros(1), torch.ones(1)


def config(**changed):
    options = {"epochs": 2, "weights": WEIGHTS, "batch_size": 4, "learning_rate": 0.01, "seed": 5}
    return TrainingConfig(**{**options, "schedule": "constant", **changed})


def following(**changed):
    return config(weights={"slope": 1.0, "data": 1.0, "adversary": 1.0}, **changed)


def batches_of(x, labels=None):
    labels = np.zeros((len(x), 1), np.int8) if labels is None else labels
    return Batches(Split(x, labels, tuple(map(str, range(len(x))))), CPU)


def numbered(count):
    return batches_of(np.arange(count, dtype=np.float32)[:, None])


def points(count=22):
    generator = np.random.default_rng(0)
    labels = generator.integers(-1, 2, (count, 1)).astype(np.int8)
    return batches_of(generator.normal(size=(count, 3)).astype(np.float32), labels)


def never():
    return False


def after(steps):
    """A stop() that is true once that many steps are done."""
    asked = iter(range(10**9))
    return lambda: next(asked) >= steps


def small(training, seed=0):
    torch.manual_seed(seed)
    model = build("csvae", shape=(3,), labels=1, network="points", latent_dim=2)
    return start(model, training, CPU)


def weights_of(state):
    return {name: parameter.detach().clone() for name, parameter in state.model.named_parameters()}


def run(state, batches, training, stop=never):
    return [record for record in train(state, batches, training, CPU, stop) if isinstance(record, Epoch)]


def seen(batches, training, model=None):
    """What a model is fed, an epoch an item, and the records of it."""
    model = model or Scales()
    records = run(start(model, training, CPU), batches, training)
    steps = len(model.seen) // training.epochs
    return [torch.cat(model.seen[i : i + steps]) for i in range(0, len(model.seen), steps)], records


@pytest.mark.parametrize("epoch", [0, 0.5, 10, 99.9])
def test_a_constant_rate_stays(epoch):
    assert learning_rate(config(epochs=100, schedule="constant"), epoch) == 0.01


@pytest.mark.parametrize(
    ("epoch", "share"), [(0, 1), (25, (1 + math.sqrt(0.5)) / 2), (50, 1 / 2), (200 / 3, 1 / 4), (100, 0)]
)
def test_a_cosine_rate_falls_to_zero_at_the_last_epoch(epoch, share):
    found = learning_rate(config(epochs=100, schedule="cosine"), epoch)
    assert found == pytest.approx(0.01 * share, abs=1e-12)


@pytest.mark.parametrize(
    ("epoch", "passed"),
    [
        (0, 0),
        (0.99, 0),
        (1, 1),
        (2.9, 1),
        (3, 2),
        (9, 3),
        (27, 4),
        (80, 4),
        (81, 5),
        (243, 6),
        (729, 7),
        (2299, 7),
    ],
)
def test_a_multistep_rate_falls_at_the_papers_milestones_to_a_tenth(epoch, passed):
    found = learning_rate(config(epochs=2300, schedule="multistep"), epoch)
    assert found == pytest.approx(0.01 * 0.1 ** (passed / 7))


def test_a_multistep_rate_is_that_of_torch():
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=0.01)
    milestones = [3**n for n in range(7)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones, gamma=0.1 ** (1 / 7))
    training = config(epochs=800, schedule="multistep")
    for epoch in range(800):
        assert learning_rate(training, epoch) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize("schedule", ["constant", "cosine", "multistep"])
def test_steps_are_as_long_as_the_schedule_says(schedule):
    training = following(epochs=4, schedule=schedule)
    state = start(Scales(), training, CPU)
    records = run(state, numbered(8), training)
    rates = [learning_rate(training, step / 2) for step in range(8)]  # two steps an epoch
    # Under a constant gradient each of Adam's steps is its learning rate.
    assert state.model.slope.item() == pytest.approx(-sum(rates), rel=1e-4)
    assert [record.learning_rate for record in records] == pytest.approx(rates[::2])


def test_the_adversary_takes_its_own_steps_at_its_own_rate():
    training = following(epochs=2, schedule="cosine", adversary_steps=3, adversary_rate=0.5)
    state = start(Scales(), training, CPU)
    run(state, numbered(8), training)
    assert state.model.reader.item() == pytest.approx(-4 * 3 * 0.5, rel=1e-4)
    assert state.model.slope.item() == pytest.approx(
        -sum(learning_rate(training, step / 2) for step in range(4)), rel=1e-4
    )


def test_the_adversary_goes_at_the_common_rate_unless_told_otherwise():
    training = following(epochs=2, schedule="cosine")
    state = start(Scales(), training, CPU)
    run(state, numbered(8), training)
    assert state.model.reader.item() == pytest.approx(state.model.slope.item(), rel=1e-6)


def test_one_strange_batch_moves_the_model_no_further_than_the_longest_gradient_allowed():
    class Steep(Scales):
        def terms(self, x, y, noise):
            terms = super().terms(x, y, noise)
            strange = 1000.0 if float(x.max()) == 7 else 1.0
            return {**terms, "slope": strange * self.slope}

    def moved(max_norm):
        training = following(epochs=1, batch_size=2, max_norm=max_norm)
        state = start(Steep(), training, CPU)
        run(state, numbered(8), training)
        return -state.model.slope.item(), state.model.reader.item()

    free, bounded, usual = moved(None), moved(1.0), moved(0.5)
    assert bounded[0] == pytest.approx(4 * 0.01, rel=1e-4)  # as four steps of a constant gradient
    assert usual[0] == pytest.approx(bounded[0], rel=1e-4)
    assert abs(free[0] - bounded[0]) > 0.001
    assert free[1] == bounded[1]  # the adversary's own gradient is left as it is


def test_a_term_of_weight_zero_trains_nothing():
    training = config(weights={"slope": 1.0, "data": 1.0, "adversary": 0.0}, adversary_steps=2)
    state = start(Scales(), training, CPU)
    run(state, numbered(8), training)
    assert state.model.reader.item() == 0
    assert state.model.slope.item() != 0


def test_every_term_is_named_as_the_mean_over_the_epochs_steps_before_weighing():
    training = config(weights={"slope": 3.0, "data": 7.0, "adversary": 1.0})
    _, records = seen(numbered(12), training)
    assert [record.epoch for record in records] == [1, 2]
    assert set(records[0].terms) == {"slope", "data", "adversary"}
    assert [record.terms["data"] for record in records] == pytest.approx([5.5, 5.5])  # of 0 … 11
    # Three steps an epoch, each of 0.01: the slope is 0, −0.01, −0.02, then −0.03, −0.04, −0.05.
    assert [record.terms["slope"] for record in records] == pytest.approx([-0.01, -0.04], rel=1e-4)


def test_an_epoch_shows_each_example_once_at_most_in_whole_batches():
    fed, _ = seen(numbered(14), following(epochs=5))
    for epoch in fed:
        assert len(epoch) == 12
        assert len(set(epoch.flatten().tolist())) == 12
    assert len({float(value) for epoch in fed for value in epoch}) == 14  # none is left out for ever


def test_a_batch_larger_than_the_data_is_all_of_it():
    fed, records = seen(numbered(3), following())
    assert [sorted(epoch.flatten().tolist()) for epoch in fed] == [[0, 1, 2]] * 2
    assert [record.terms["data"] for record in records] == [1, 1]


def test_the_order_of_the_data_is_of_the_seed_and_the_epoch_alone():
    first, _ = seen(numbered(24), following(epochs=3))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])

    torch.manual_seed(99)
    torch.rand(5)
    again, _ = seen(numbered(24), following(epochs=3, batch_size=6, learning_rate=0.5, schedule="cosine"))
    assert all(map(torch.equal, first, again))

    other, _ = seen(numbered(24), following(epochs=3, seed=6))
    assert not any(map(torch.equal, first, other))


def test_labels_stay_with_their_examples():
    class Watch(Scales):
        def terms(self, x, y, noise):
            assert torch.equal(y[:, 0], (x[:, 0] % 3 - 1).to(torch.int8))
            return super().terms(x, y, noise)

    x = np.arange(24, dtype=np.float32)[:, None]
    seen(batches_of(x, (x % 3 - 1).astype(np.int8)), following(), Watch())


def pictures(count):
    """Picture i has the value i in the upper left corner, and nothing else."""
    x = np.zeros((count, 2, 2, 1), np.uint8)
    x[:, 0, 0, 0] = np.arange(count) + 1
    return batches_of(x)


def test_flip_mirrors_about_half_of_the_pictures_left_to_right():
    fed, _ = seen(pictures(200), following(flip=True, batch_size=50))
    mirrored = []
    for x in fed:
        assert (x[:, 0, 1] == 0).all()  # nothing is upside down
        assert ((x[:, 0, 0, 0] > 0) ^ (x[:, 0, 0, 1] > 0)).all()
        rows = (x[:, 0, 0].amax(1) * 255).round()
        assert sorted(rows.tolist()) == list(range(1, 201))  # the pictures are all there, else unchanged
        mirrored.append(x[rows.argsort(), 0, 0, 1] > 0)
    for flips in mirrored:
        assert 60 < int(flips.sum()) < 140
    assert not torch.equal(mirrored[0], mirrored[1])


def test_pictures_stay_as_they_are_without_flip():
    fed, _ = seen(pictures(50), following(batch_size=50))
    for x in fed:
        assert (x[:, 0, 0, 0] > 0).all()


def test_pictures_are_disturbed_where_that_is_asked_for():
    data = batches_of(np.full((20, 8, 8, 3), 120, np.uint8))
    plain, _ = seen(data, following(batch_size=10))
    fed, _ = seen(data, following(batch_size=10, disturb=True))
    for x, other in zip(plain, fed, strict=True):
        assert (x == 120 / 255).all()
        assert (other - 120 / 255).abs().mean() > 0.01


def test_a_stage_that_wants_pictures_as_they_are_has_them_so():
    class Particular(Scales):
        undisturbed = ("plain",)

    data = batches_of(np.full((20, 8, 8, 3), 120, np.uint8))
    stages = {"first": 1, "plain": 1}
    (first, plain), _ = seen(data, following(batch_size=20, disturb=True, stages=stages), Particular())
    assert (first - 120 / 255).abs().mean() > 0.01
    assert (plain == 120 / 255).all()


def test_ticks_come_every_ten_steps_and_tell_the_share_that_is_done():
    training = following(epochs=2, batch_size=2)
    records = list(train(start(Scales(), training, CPU), numbered(50), training, CPU, never))
    ticks = [(record.epoch, record.share) for record in records if isinstance(record, Tick)]
    assert ticks == [(1, 0.4), (1, 0.8), (2, 0.4), (2, 0.8)]


def test_a_model_that_a_reader_put_in_eval_mode_trains_on():
    training = following(epochs=3)
    state = start(Scales(), training, CPU)
    for _ in train(state, numbered(8), training, CPU, never):
        assert state.model.training
        state.model.eval()


def test_nothing_is_done_when_stopped_at_once():
    training = config()
    state = small(training)
    before = weights_of(state)
    assert list(train(state, points(), training, CPU, lambda: True)) == []
    assert (state.epoch, state.step) == (0, 0)
    assert all(torch.equal(before[name], value) for name, value in weights_of(state).items())


def of_pictures(training, seed=0):
    torch.manual_seed(seed)
    model = build("csvae", shape=(3, 16, 16), labels=1, network="light", latent_dim=2)
    return start(model, training, CPU)


def noise_pictures():
    x = np.random.default_rng(0).integers(0, 256, (22, 16, 16, 3), dtype=np.uint8)
    return batches_of(x, np.tile(np.int8([[0], [1]]), (11, 1)))


@pytest.mark.parametrize("steps", [1, 3, 5, 7, 9])
@pytest.mark.parametrize(
    ("fresh", "data"), [(small, points), (of_pictures, noise_pictures)], ids=["points", "pictures"]
)
def test_a_training_that_was_stopped_goes_on_from_its_checkpoint_as_if_it_had_not_been(
    steps, fresh, data, tmp_path
):
    training = config(schedule="cosine", adversary_steps=2)  # two epochs of five steps
    whole = fresh(training)
    expected = run(whole, data(), training)

    halves = fresh(training)
    records = run(halves, data(), training, after(steps))
    assert (halves.epoch, halves.step) == divmod(steps, 5)
    stored = Run(tmp_path)
    checkpoint.save(stored, halves, checkpoint.Standing(0, None))
    halves = fresh(training, seed=99)
    checkpoint.restore(stored, halves)
    records += run(halves, data(), training)

    assert [record.terms for record in records] == [record.terms for record in expected]
    tensors = halves.model.state_dict()
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensors[name], tensor), name


def test_a_finished_training_has_nothing_left_to_do():
    training = config(epochs=1)
    state = small(training)
    run(state, points(), training)
    before = weights_of(state)
    assert list(train(state, points(), training, CPU, never)) == []
    assert all(torch.equal(before[name], value) for name, value in weights_of(state).items())
    assert len(run(state, points(), replace(training, epochs=3))) == 2


def test_a_bad_step_is_refused_and_named_and_leaves_the_weights_as_they_were():
    training = config(epochs=3)
    fed, _ = seen(numbered(22), following(epochs=3))
    bad = int(fed[1][2 * training.batch_size])  # the example that begins the third step of epoch 2

    state, batches = small(training), points()
    records = train(state, batches, training, CPU, never)
    assert next(records).epoch == 1
    batches.x[bad] = float("nan")
    with pytest.raises(WorkError, match=r"epoch 2: the term recon is nan"):
        next(records)
    assert (state.epoch, state.step) == (1, 2)

    good = small(training)
    run(good, points(), training, after(5 + 2))
    for name, value in weights_of(state).items():
        assert value.isfinite().all()
        assert torch.equal(value, weights_of(good)[name]), name


def test_weights_broken_by_a_gradient_behind_finite_terms_are_not_given_out_as_good():
    class Steep(Scales):
        def terms(self, x, y, noise):
            terms = super().terms(x, y, noise)
            # A square root's slope at 0 is infinite, times 0 is NaN; its value is 0.
            return {**terms, "slope": (0 * self.slope).sqrt()}

    training = following(epochs=1)
    state = start(Steep(), training, CPU)
    with pytest.raises(WorkError, match="epoch 1: slope is no longer finite"):
        run(state, numbered(4), training)
    assert state.epoch == 0


def test_further_steps_of_the_adversary_learn_from_many_batches():
    met = []

    class Watched(Scales):
        def adversary_terms(self, shown):
            met.append(shown.z)
            return super().adversary_terms(shown)

    training = following(epochs=1, adversary_steps=2)
    run(start(Watched(), training, CPU), numbered(400), training)
    own, drawn = met[::2], met[1::2]
    so_far = [{float(z) for batch in own[: step + 1] for z in batch.flatten()} for step in range(100)]
    for step, codes in enumerate(drawn):
        assert set(codes.flatten().tolist()) <= so_far[step]
    last = set(drawn[-1].flatten().tolist())
    assert not last <= {float(z) for z in own[-1].flatten()}  # not only the newest
    assert not last & {float(z) for batch in own[:-32] for z in batch.flatten()}  # nor the oldest


@pytest.mark.parametrize("term", ["slope", "adversary"])
def test_the_term_that_diverged_is_the_one_that_is_named(term):
    class Diverging(Scales):
        def terms(self, x, y, noise):
            terms = super().terms(x, y, noise)
            return {**terms, term: terms[term] * float("inf" if len(self.seen) == 2 else 1) + 1}

    training = following()
    state = start(Diverging(), training, CPU)
    with pytest.raises(WorkError, match=rf"epoch 1: the term {term} is -?inf") as caught:
        run(state, numbered(12), training)
    assert "learning rate" in str(caught.value)  # a way out
    assert caught.value.exit_code == 1
    assert (state.epoch, state.step) == (0, 1)


def test_the_second_ctrl_c_insists() -> None:
    def twice() -> None:
        with polite_stop() as stop:
            assert not stop()
            signal.raise_signal(signal.SIGINT)
            assert stop()
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            twice()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that it is to be, in seconds."""
    seconds = [0.0]
    monkeypatch.setattr("csvae_cli.training.clock.time.monotonic", lambda: seconds[0])
    return seconds


def clocked(stages: dict[str, int]) -> tuple[Clock, State]:
    staged = config(epochs=sum(stages.values()), stages=stages)
    state = start(Scales(), staged, CPU)
    return Clock(staged, state), state


def test_the_time_left_goes_by_the_pace_of_the_stage(now: list[float]) -> None:
    clock, state = clocked({"quick": 3, "slow": 3})
    now[0], state.epoch = 3.0, 1
    assert clock.left(state, None) == pytest.approx(15)
    now[0], state.epoch = 9.0, 3
    assert clock.left(state, None) == pytest.approx(9)
    now[0] = 10.0
    clock.left(state, Tick(4, 0.1, 9, 1.0))  # the slow stage has begun
    now[0] = 30.0
    assert clock.left(state, Tick(4, 0.3, 7, 1.0)) == pytest.approx(100 * 2.7)


def test_the_time_left_of_a_training_that_goes_on_within_an_epoch(now: list[float]) -> None:
    clock, state = clocked({"one": 10})
    state.epoch = 4  # and nine tenths of the next one are over
    now[0] = 1.0
    clock.left(state, Tick(5, 0.92, 8, 1.0))
    now[0] = 2.0
    assert clock.left(state, Tick(5, 0.96, 4, 1.0)) == pytest.approx(5.04 / 0.04)


def test_the_time_left_knows_that_an_epoch_of_the_autoencoder_takes_five_of_the_reader(
    now: list[float],
) -> None:
    clock, state = clocked({"reader": 2, "autoencoder": 4})
    now[0], state.epoch = 3.0, 1
    assert clock.left(state, None) == pytest.approx(3 + 4 * 15)


class Mapped(Scales):
    """Its map sees the numbers themselves, and it remembers with what its map was ended."""

    owners = {"slope": "map", "data": "map"}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.ended = []

    def groups(self):
        return {"map": [self.slope], "adversary": [self.reader]}

    def mu(self, x):
        return x

    def map_input(self, x, codes):  # noqa: ARG002
        return codes

    def map_terms(self, codes, y, noise):  # noqa: ARG002
        return {"slope": self.slope.clone(), "data": codes.mean() + 0 * self.slope}

    def terms(self, x, y, noise):  # noqa: ARG002
        return {"slope": self.slope.clone(), "data": x.mean() + 0 * self.slope}

    def end_map(self, codes, y):
        self.ended.append((codes.flatten().tolist(), y.flatten().tolist(), float(self.slope)))


@pytest.mark.parametrize("stopped", [None, 3])
def test_a_map_is_ended_once_with_all_codes_when_its_last_epoch_is_done(stopped):
    training = following(epochs=3, stages={"map": 2, "rest": 1})
    batches = batches_of(np.arange(8, dtype=np.float32)[:, None], np.int8([[0], [1]] * 4))
    state = start(Mapped(), training, CPU)
    if stopped is not None:  # in the second epoch of two steps
        run(state, batches, training, after(stopped))
        assert state.model.ended == []
    run(state, batches, training)
    [(codes, labels, slope)] = state.model.ended
    assert codes == list(range(8))
    assert labels == [0, 1] * 4
    assert slope == pytest.approx(-4 * 0.01)


def test_mirror_images_do_not_count_when_a_map_is_ended():
    training = following(epochs=1, stages={"map": 1}, flip=True)
    x = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)

    class Pictured(Mapped):
        def mu(self, x):
            return x[:, :, :, 0].flatten(1)

    state = start(Pictured(), training, CPU)
    run(state, batches_of(x), training)
    [(codes, _, _)] = state.model.ended
    assert codes == pytest.approx((x[:, :, 0].transpose(0, 2, 1) / 255).flatten().tolist())


def test_labels_that_are_known_of_few_are_all_looked_at():
    y = np.full((20_000, 2), -1, dtype=np.int8)
    y[:, 1] = np.arange(20_000) % 2
    known = [7, 8, 5_000, 19_998]
    y[known, 0] = [1, 0, 0, 1]
    split = Split(np.zeros((20_000, 1), np.float32), y, ())
    rows = _looked_at(Batches(split, resolve("cpu")))
    assert set(known) <= set(rows.tolist())
    assert len(rows) <= 6_000 + len(known)
