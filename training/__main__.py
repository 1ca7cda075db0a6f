"""Run every stage that is not done yet, one after another: `make train`."""

from __future__ import annotations

from training import answer, convert, export, plot, pretrain
from training.common import load_config, run_folder


def main() -> None:
    """Convert, pre-train, train, ship, draw the curves."""
    folder = run_folder(load_config())
    if not (folder / "converted.safetensors").exists():
        convert.main()
    if not (folder / "pretrain.safetensors").exists():
        pretrain.main()
    answer.main()
    export.main()
    plot.main()


if __name__ == "__main__":
    main()
