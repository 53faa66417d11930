"""How presets share a training's epochs among its stages."""

import pytest

from csvae_cli.errors import RequestError
from csvae_cli.presets import Facts, default, extended, of_epochs, stages_of, thorough

FACES = Facts(23_276, (3, 64, 64), ("glasses", "facial-hair", "male"), ("male",))


def test_a_thorough_training_gives_most_epochs_to_the_autoencoder_and_reads_plain_pictures_before_edits():
    model, training = thorough("flow-csvae", "large", FACES)
    assert training.disturb
    assert list(training.stages) == ["reader", "autoencoder", "map", "plain-reader", "edits"]
    assert sum(training.stages.values()) == training.epochs == 120
    assert training.stages["autoencoder"] == 83
    assert model.several_readers
    assert sum(model.build_options()["w_dims"]) + model.latent_dim == 252


def test_another_number_of_epochs_is_shared_as_the_preset_shares_its_own():
    model, training = thorough("flow-csvae", "large", FACES)
    assert of_epochs(model, training, training.epochs) == training
    shorter = of_epochs(model, training, 20)
    assert list(shorter.stages) == list(training.stages)
    assert sum(shorter.stages.values()) == shorter.epochs == 20
    model, training = default("flow-csvae", "large", FACES)
    assert "plain-reader" not in of_epochs(model, training, 40).stages


def test_a_training_that_goes_on_for_longer_leaves_what_is_over_as_it_was():
    _, training = default("flow-csvae", "large", Facts(8000, FACES.shape, FACES.attributes, FACES.keep))
    assert training.stages == {"reader": 2, "autoencoder": 11, "map": 9, "edits": 3}
    begun = extended(training, 35, done=4)  # it stands in the autoencoder's stage
    assert begun.stages == {"reader": 2, "autoencoder": 21, "map": 9, "edits": 3}
    finished = extended(training, 35, done=25)
    assert finished.stages == {"reader": 2, "autoencoder": 11, "map": 9, "edits": 13}
    assert finished.epochs == sum(finished.stages.values()) == 35
    shorter = extended(training, 16, done=4)
    assert shorter.stages == {"reader": 2, "autoencoder": 2, "map": 9, "edits": 3}
    with pytest.raises(RequestError, match="the least is 16"):
        extended(training, 15, done=4)
    with pytest.raises(RequestError, match="the least is 16"):  # and not 5, which would be refused again
        extended(training, 4, done=4)


def test_a_stage_that_is_made_shorter_ends_with_a_whole_epoch():
    """The next one begins with what its first step finds, and a map ends with its last epoch."""
    _, training = default("flow-csvae", "large", Facts(8000, FACES.shape, FACES.attributes, FACES.keep))
    assert training.stages == {"reader": 2, "autoencoder": 11, "map": 9, "edits": 3}
    assert extended(training, 19, done=7, begun=False).stages["autoencoder"] == 5
    with pytest.raises(RequestError, match="the least is 20"):
        extended(training, 19, done=7, begun=True)
    with pytest.raises(RequestError, match="the least is 21"):
        extended(training, 20, done=17)
    assert extended(training, 21, done=17).stages["map"] == 5
    points = Facts(1000, (3,), ("up",), ())
    _, training = default("flow-csvae", "points", points)
    done = training.epochs - 4
    with pytest.raises(RequestError, match=f"the least is {done + 1}"):
        extended(training, done, done=done)
    assert extended(training, training.epochs, done=training.epochs) == training  # it has ended


def test_a_training_without_stages_is_only_longer():
    _, training = default("csvae", "light", FACES)
    assert extended(training, 99, done=3).epochs == 99
    assert extended(training, 99, done=3).stages == {}
    with pytest.raises(RequestError, match="the least is 4"):
        extended(training, 3, done=3)
    assert extended(training, training.epochs, done=training.epochs) == training


@pytest.mark.parametrize(("examples", "epochs"), [(10, 120), (10**6, 20)])
def test_a_thorough_training_ends_in_finite_time(examples: int, epochs: int):
    facts = Facts(examples, FACES.shape, FACES.attributes, FACES.keep)
    assert thorough("flow-csvae", "large", facts)[1].epochs == epochs


def test_exclusive_labels_and_points_have_the_stages_that_they_can_have():
    exclusive = Facts(1000, (1, 48, 48), ("anger", "joy"), (), exclusive=True)
    _, training = thorough("flow-csvae", "large", exclusive)
    assert list(training.stages) == ["reader", "autoencoder", "map"]
    model, _ = default("flow-csvae", "points", Facts(1000, (3,), ("up",), ()))
    assert list(stages_of(model, 10)) == ["autoencoder", "map"]
    assert stages_of(model, 10)["map"] == 3
    with pytest.raises(RequestError, match="at least 2"):
        stages_of(model, 1)


@pytest.mark.parametrize(("kind", "network"), [("csvae", "light"), ("flow-csvae", "points")])
def test_a_thorough_training_of_what_it_is_not_for_is_refused(kind, network):
    with pytest.raises(RequestError, match="flow-csvae of pictures"):
        thorough(kind, network, FACES)
