"""The operators as torch.ops.agpnet."""
from __future__ import annotations

from typing import Any

from ._errors import AgpnetError
from ._library import library_path, require_working_directory


def torch_ops() -> Any:
    """torch.ops.agpnet, once the library is loaded into torch: Perturb, Residual, Heatmap, Nearest, Reconstruct, Detect, Train.

    It needs the torch that the library was built with, which build_information() names.
    """
    require_working_directory()
    import torch

    path = library_path()
    try:
        torch.ops.load_library(path)
    except OSError as error:
        raise AgpnetError(f"{path} cannot be loaded into torch {torch.__version__}; "
                           f"expected the version that it was built with: {error}") from error
    return torch.ops.agpnet
