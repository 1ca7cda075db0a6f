"""The mean of several runs' weights (model soups; Wortsman et al., ICML 2022, arXiv 2203.05482).

Runs that started from the same weights end close together: their mean is often better than each.

    python -m training.average A.safetensors B.safetensors --to C.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.common import load_network, save_network


def mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Every weight's mean over the runs.

    >>> mean([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 6.0])}])
    {'w': tensor([2., 4.])}
    """
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def main() -> None:
    """Average the named files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    networks = [load_network(path) for path in arguments.weights]
    networks[0].load_state_dict(mean([network.state_dict() for network in networks]))
    save_network(networks[0], arguments.to)


if __name__ == "__main__":
    main()
