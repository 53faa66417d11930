"""Codes as tables: npz, csv or parquet, by suffix."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from csvae_cli import runs
from csvae_cli.errors import RequestError
from models.kind import Codes

SUFFIXES = (".npz", ".csv", ".parquet")
Arrays = dict[str, NDArray[Any]]


def arrays(
    files: Sequence[str],
    labels: NDArray[np.int8],
    codes: Codes,
    attributes: Sequence[str],
    probabilities: Tensor | None,
) -> Arrays:
    """`files`, `z_mu`, `z_log_var`, per attribute `w_<attr>_mu`, `w_<attr>_log_var`, and `labels`.

    labels: N×k in {1, 0, −1}, columns as in `attributes`. probabilities: `Kind.label_probabilities`, for
    kinds that have them: gives `p_<attr>`.
    """
    found: Arrays = {
        "files": np.array([os.fsencode(file).decode(errors="replace") for file in files]),  # names are bytes
        "labels": labels,
        "attributes": np.array(attributes),
        "z_mu": codes.z_mu.cpu().numpy(),
        "z_log_var": codes.z_log_var.cpu().numpy(),
    }
    for name, mu, log_var in zip(attributes, codes.w_mu, codes.w_log_var, strict=True):
        found[f"w_{name}_mu"] = mu.cpu().numpy()
        found[f"w_{name}_log_var"] = log_var.cpu().numpy()
    if probabilities is not None:
        p = probabilities.detach().cpu().numpy()
        found |= {f"p_{name}": p[:, i] for i, name in enumerate(attributes)}
    return found


def check_suffix(path: Path) -> None:
    """Raises RequestError where the suffix names no format that can be written here."""
    if path.suffix not in SUFFIXES:
        raise RequestError(f"--out {path}: codes are written as {', '.join(SUFFIXES)}.")
    if path.suffix == ".parquet":
        from importlib.util import find_spec

        if find_spec("pyarrow") is None:
            raise RequestError("Parquet needs pyarrow; pip install pyarrow (or pipx inject csvae pyarrow).")


def write(path: Path, found: Arrays) -> None:
    """In the format of the suffix; a table has a row a face and a column a number. Raises WorkError."""
    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(buffer, **found)  # type: ignore[arg-type]  # numpy 1.26 knows no allow_pickle
    elif path.suffix == ".csv":
        columns = _columns(found)
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
        buffer.write(text.getvalue().encode())
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table(_columns(found)), buffer)
    runs.write(path, buffer.getvalue())


def _columns(found: Arrays) -> Arrays:
    """Matrices as one column a number: z_mu_0, z_mu_1, …; labels as label_<attr>."""
    columns: Arrays = {}
    for name, values in found.items():
        if name == "attributes":
            continue
        if name == "labels":
            columns |= {f"label_{attr}": values[:, i] for i, attr in enumerate(found["attributes"])}
        elif values.ndim == 1:
            columns[name] = values
        else:
            columns |= {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
    return columns
