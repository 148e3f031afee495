"""Which device trains, and in which precision."""

from typing import Literal

DeviceName = Literal["cuda", "cpu"]
Precision = Literal["float32", "bfloat16"]


def best_device() -> DeviceName:
    """CUDA if there is one, else the CPU. Not Apple's MPS: it has no float64, in which some of the checks run."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def precision_on(device: DeviceName, wanted: Precision) -> Precision:
    """bfloat16 where a protocol wants it and the device is CUDA, else float32."""
    return wanted if device == "cuda" else "float32"
