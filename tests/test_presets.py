"""How presets share a training's epochs among its stages."""

import pytest

from csvae_cli.errors import RequestError
from csvae_cli.presets import Facts, default, longer, stages_of, thorough

FACES = Facts(23_276, (3, 64, 64), ("glasses", "facial-hair", "male"), ("male",))


def test_a_thorough_training_gives_most_epochs_to_the_autoencoder_and_reads_plain_pictures_before_edits():
    model, training = thorough("flow-csvae", "large", FACES)
    assert training.disturb
    assert list(training.stages) == ["reader", "autoencoder", "map", "plain-reader", "edits"]
    assert sum(training.stages.values()) == training.epochs == 120
    assert training.stages["autoencoder"] == 89
    assert sum(model.build_options()["w_dims"]) + model.latent_dim == 252


def test_another_number_of_epochs_is_shared_as_the_preset_shares_its_own():
    model, training = thorough("flow-csvae", "large", FACES)
    assert longer(model, training, training.epochs) == training
    shorter = longer(model, training, 20)
    assert list(shorter.stages) == list(training.stages)
    assert sum(shorter.stages.values()) == shorter.epochs == 20
    model, training = default("flow-csvae", "large", FACES)
    assert "plain-reader" not in longer(model, training, 40).stages


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
