"""`csvae encode` of a folder of JPEGs, against Pillow's decoding and resizing alone on the same cores.

    python benchmarks/encode.py DIR/full_size_valid.zip [--count 1000] [--scale 1] [--model RUN]

The time of the whole command less that of a single picture; Pillow decodes, crops and resizes the same files
in a process for each core. --scale 4 makes the pictures (178×218) as many times as large in each direction.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

from csvae_cli.data.celeba import crop_box


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = list(pictures(options.zip, options.scale))
        for part, count in (("one", 1), ("all", options.count)):
            (root / part).mkdir()
            for number in range(count):
                (root / part / f"{number:06d}.jpg").write_bytes(files[number % len(files)])
        ours = encode(root / "all", options.model) - encode(root / "one", options.model)
        theirs = pillow(root / "all")
    count, size = options.count, f"{178 * options.scale}×{218 * options.scale}"
    print(
        f"{count} pictures of {size}: {count / ours:.0f} a second; "
        f"Pillow's decoding and resizing alone {count / theirs:.0f}; ratio {theirs / ours:.2f}"
    )


def pictures(path: Path, scale: int) -> list[bytes]:
    """JPEGs of the zip, enlarged."""
    with zipfile.ZipFile(path) as archive:
        files = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    if scale == 1:
        return files
    return [_enlarged(data, scale) for data in files[:50]]


def _enlarged(data: bytes, scale: int) -> bytes:
    buffer = io.BytesIO()
    small = Image.open(io.BytesIO(data)).convert("RGB")
    large = small.resize((178 * scale, 218 * scale), Image.Resampling.BICUBIC)
    large.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def encode(folder: Path, model: str | None) -> float:
    """Seconds of the whole command."""
    command = [str(Path(sys.executable).with_name("csvae")), "encode", str(folder), "--align", "celeba"]
    command += ["--out", str(folder.with_suffix(".npz")), *(["--model", model] if model else [])]
    began = time.perf_counter()
    environment = {**os.environ, "CSVAE_RUNS": str(folder / "none")}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def pillow(folder: Path) -> float:
    """Seconds, by a process for each core that is there already."""
    paths = sorted(folder.iterdir())
    with ProcessPoolExecutor() as pool:
        list(pool.map(decode, paths[:8]))
        began = time.perf_counter()
        list(pool.map(decode, paths, chunksize=32))
        return time.perf_counter() - began


def decode(path: Path) -> None:
    """A picture as 64×64 pixels of the crop that models are trained on."""
    image = Image.open(path).convert("RGB")
    image.resize((64, 64), Image.Resampling.BICUBIC, crop_box(*image.size))


if __name__ == "__main__":
    main()
