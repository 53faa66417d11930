"""A wider code for a finished flow-csvae, and more epochs of its autoencoder on disturbed pictures.

    python benchmarks/widen.py RUN --code 256 --epochs 14 --out WIDER [--data-dir DIR]

The first dimensions of the code stay what they were; the new ones start near nothing. WIDER is an autoencoder
for `csvae train --from WIDER` alone: it has no map of its own yet.
"""

import argparse
import math
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from csvae_cli import output, runs
from csvae_cli.config import to_json
from csvae_cli.data import sources
from csvae_cli.data.batches import Batches
from csvae_cli.device import resolve
from models.disturbing import disturbed, mirrored
from models.flow_csvae import AUTOENCODER
from models.kind import Kind, build

BATCH, RATE, WARM_UP, LONGEST = 64, 6e-4, 200, 3000.0
WEIGHTS = {"recon": 1.0, "features": 0.5, "kl_s": 0.1}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--code", type=int, default=256, help="dimensions of the wider code")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    source, target = runs.Run(options.run), runs.Run(options.out)
    config = runs.read_config(source.config)
    compute = resolve("auto", "auto")
    torch.manual_seed(0)
    in_w = sum(config.model.build_options()["w_dims"])
    model_config = replace(config.model, latent_dim=options.code - in_w)
    model = build("flow-csvae", **model_config.build_options())
    model.load_state_dict(widened(runs.read_tensors(source.model), model.state_dict()))
    data = sources.read(config.data.dataset, options.data_dir, config.model.keep)
    train, valid = (Batches(data.splits[split], compute) for split in ("train", "valid"))
    model.to(compute.device).to(memory_format=torch.channels_last)
    model.expect(train.y)
    model.stage = AUTOENCODER
    parameters = list(model.groups()[AUTOENCODER])
    optimiser = torch.optim.Adam(parameters, RATE, fused=True)
    noise = torch.Generator(compute.device).manual_seed(1)
    steps = len(train) // BATCH
    target.path.mkdir(parents=True)
    runs.write(target.config, to_json(replace(config, model=model_config)).encode())
    shutil.copy(source.statistics, target.statistics)
    for epoch in range(options.epochs):
        model.train()
        order = torch.randperm(len(train), generator=noise, device=compute.device)
        for step in range(steps):
            done = epoch * steps + step
            share = 0.5 * (1 + math.cos(math.pi * done / (options.epochs * steps)))
            optimiser.param_groups[0]["lr"] = RATE * share * min(1, (done + 1) / WARM_UP)
            x, y = train.rows(order[step * BATCH : (step + 1) * BATCH])
            with compute.autocast():
                terms = model.terms(disturbed(mirrored(x, noise), noise), y, None)
            optimiser.zero_grad()
            torch.stack([weight * terms[name] for name, weight in WEIGHTS.items()]).sum().backward()
            clip_grad_norm_(parameters, LONGEST)
            optimiser.step()
        runs.write_tensors(target.model, model.state_dict())
        output.say(f"epoch {epoch + 1}: {psnr(model, valid):.2f} dB on validation people")


def widened(old: dict[str, Tensor], new: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a fresh model of the wider code, with those of the old encoder, decoder and reader in it."""
    found = {name: tensor.clone() for name, tensor in new.items()}
    before = old["decoder.dense.weight"].shape[1]
    for name, tensor in old.items():
        if name.partition(".")[0] not in ("trunk", "mu_head", "log_var_head", "decoder", "reader"):
            continue
        if "_head." in name:
            found[name][:before] = tensor
            found[name][before:] *= 0.5 if name.startswith("mu_") else 1
        elif name == "decoder.dense.weight":
            found[name] *= 0.3
            found[name][:, :before] = tensor
        else:
            found[name] = tensor
    return found


@torch.no_grad()
def psnr(model: Kind, valid: Batches) -> float:
    """Of the mean squared error of plain reconstructions, in dB."""
    model.eval()
    errors = []
    for x, _ in valid.chunks(2000):
        codes = model.encode(x)
        errors.append((model.decode(codes.z_mu, codes.w_mu).clamp(0, 1) - x).square().mean())
    return float(-10 * torch.stack(errors).mean().log10())


if __name__ == "__main__":
    main()
