"""Which device trains, and in which precision."""

from typing import Literal

import torch

DeviceName = Literal["cuda", "mps", "cpu"]
Precision = Literal["float32", "bfloat16"]


def best_device() -> DeviceName:
    """CUDA if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def precision_on(device: DeviceName, wanted: Precision) -> Precision:
    """bfloat16 where a protocol wants it and the device is CUDA, else float32."""
    return wanted if device == "cuda" else "float32"
