"""How the scale of signals and gradients grows from layer to layer."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerashp.diagnostics._initialization.scales import LayerScale
from kerashp.diagnostics._initialization.signal import LayerSignal, is_recurrent

# Activations that are not 0 at 0: the scale of their outputs does not follow that of their inputs.
_OFFSET_ACTIVATIONS = (
    "sigmoid",
    "hard_sigmoid",
    "softmax",
    "Softmax",
    "softplus",
    "exponential",
    "log_sigmoid",
)


class Stage(NamedTuple):
    """The scale at one depth of the model."""

    scale: float
    positions: int | None  # of a row; None for a recurrent layer
    offset: bool = False  # whether the activation alone determines the scale

    def is_comparable(self, previous: "Stage") -> bool:
        """Whether the scales are comparable: a mean over positions and recurrent steps change the scale."""
        if self.offset or self.positions is None or previous.positions is None:
            return False
        return (self.positions == 1) == (previous.positions == 1)


class ScaleGrowth(NamedTuple):
    """The factor of a scale over a number of layers."""

    factor: float
    depth: int

    @property
    def per_layer(self) -> float:
        """The geometric mean of the factor over the layers.

        >>> ScaleGrowth(4.0, 2).per_layer
        2.0
        """
        return float(self.factor ** (1 / self.depth))


def growth_over(stages: Sequence[Stage]) -> ScaleGrowth | None:
    """The growth over all stages that are comparable with the one before; None if there are none.

    >>> growth_over([Stage(1.0, 1), Stage(3.0, 1), Stage(4.0, 1)])
    ScaleGrowth(factor=4.0, depth=2)
    """
    runs: list[list[float]] = []
    for index, stage in enumerate(stages):
        if index and stage.is_comparable(stages[index - 1]):
            runs[-1].append(stage.scale)
        else:
            runs.append([stage.scale])
    compared = [run for run in runs if len(run) > 1 and run[0] != 0]
    if not compared:
        return None
    factor = math.prod(run[-1] / run[0] for run in compared)
    return ScaleGrowth(factor, sum(len(run) - 1 for run in compared))


def kernel_blocks(signals: Sequence[LayerSignal]) -> list[list[LayerSignal]]:
    """Divide the layers into blocks: a layer with a kernel and the activation layers after it."""
    blocks: list[list[LayerSignal]] = []
    for signal in signals:
        if signal.kernel is not None:
            blocks.append([signal])
        elif blocks:
            blocks[-1].append(signal)
    return blocks


def forward_stages(blocks: Sequence[list[LayerSignal]], scales: dict[str, LayerScale]) -> list[Stage]:
    """The root mean squares of the outputs of each block, from the first to the last."""
    return [
        Stage(
            scales[block[-1].name].activation_scale,
            positions(block),
            scales[block[-1].name].activation in _OFFSET_ACTIVATIONS,
        )
        for block in blocks
    ]


def backward_stages(blocks: Sequence[list[LayerSignal]]) -> list[Stage]:
    """The norms of the gradients with respect to the outputs of each block, from the last to the first.

    Fewer units or positions keep the norm, whereas they change the mean square.
    """
    norms = [float(np.linalg.norm(block[-1].gradients)) for block in blocks]
    return [Stage(norm, positions(block)) for norm, block in zip(norms, blocks, strict=True)][::-1]


def positions(block: Sequence[LayerSignal]) -> int | None:
    """The number of positions in the outputs of a row; None for a recurrent layer."""
    return None if is_recurrent(block[0].layer) else block[-1].positions
