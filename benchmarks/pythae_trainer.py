"""pythae's trainer on our encoder and decoder: training.py runs this in an environment of its own.

    python benchmarks/pythae_trainer.py NETWORK PICTURES BATCH

Prints the images a second of its second epoch.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

sys.path.insert(0, str(Path(__file__).parents[1]))
from models import networks

SHAPE, LATENT_DIM = (3, 64, 64), 64


class Encoder(BaseEncoder):
    """Our trunk and head."""

    def __init__(self, network: str) -> None:
        super().__init__()
        self.trunk, features = networks.trunk(network, SHAPE)
        self.head = networks.gaussian_head(features, 0, LATENT_DIM)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        """x: N×3×64×64."""
        mu, log_var = self.head(self.trunk(x)).chunk(2, dim=1)
        return ModelOutput(embedding=mu, log_covariance=log_var)


class Decoder(BaseDecoder):
    """Our decoder."""

    def __init__(self, network: str) -> None:
        super().__init__()
        self.decoder = networks.decoder(network, LATENT_DIM, SHAPE)

    def forward(self, z: torch.Tensor) -> ModelOutput:
        """z: N×64."""
        return ModelOutput(reconstruction=self.decoder(z))


class Clock(TrainingCallback):
    """When each epoch began and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float] = []
        self.ended: list[float] = []

    def on_epoch_begin(self, training_config: BaseTrainerConfig, **_: object) -> None:  # noqa: ARG002
        """Called by the trainer."""
        self.begun.append(time.perf_counter())

    def on_epoch_end(self, training_config: BaseTrainerConfig, **_: object) -> None:  # noqa: ARG002
        """Called by the trainer."""
        self.ended.append(time.perf_counter())


def main() -> None:
    """Command line."""
    network, pictures, batch = sys.argv[1], torch.load(sys.argv[2]), int(sys.argv[3])
    x = pictures.permute(0, 3, 1, 2).float().div(255).contiguous()
    config = VAEConfig(input_dim=SHAPE, latent_dim=LATENT_DIM)
    model = VAE(config, encoder=Encoder(network), decoder=Decoder(network))
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=2,
            per_device_train_batch_size=batch,
            learning_rate=1e-3,
            no_cuda=not torch.cuda.is_available(),
        )
        data = BaseDataset(x, torch.zeros(len(x)))
        BaseTrainer(model, train_dataset=data, training_config=settings, callbacks=[clock]).train()
    print(len(x) / (clock.ended[1] - clock.begun[1]))


if __name__ == "__main__":
    main()
