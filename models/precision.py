"""Double precision, where it is needed."""

from torch import Tensor


def exact(t: Tensor) -> Tensor:
    """t in double precision; on the CPU where its device has none, as Apple's GPUs."""
    return (t.cpu() if t.device.type == "mps" else t).double()
