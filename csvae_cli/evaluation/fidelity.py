"""How well reconstructions keep a picture."""

import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.subject import Subject


def figures(subject: Subject) -> list[Figure]:
    """Squared error of all held-out rows; of pictures PSNR and SSIM too (data range 0 … 1)."""
    squared, similar, count, numbers = 0.0, 0.0, 0, 1
    for rows, x in subject.held_pictures():
        x_hat = torch.cat(list(subject.changed(rows, {})))
        squared += float((x_hat - x).square().sum())
        count, numbers = count + len(x), x[0].numel()
        if subject.of_pictures:
            ssim = structural_similarity_index_measure(x_hat, x, data_range=1.0)
            assert isinstance(ssim, torch.Tensor)
            similar += float(ssim) * len(x)
    found = [Figure("squared_error", squared / count, count)]
    if subject.of_pictures:
        mean = torch.tensor(squared / count / numbers)
        found.append(Figure("psnr", float(-10 * torch.log10(mean)), count))
        found.append(Figure("ssim", similar / count, count))
    return found
