"""What fits must have in common to train together, and how two groups differ, in words."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kerashp.model_selection._planning.prepare import PreparedFit

Traits = dict[str, str]

_NAMES_OF_PARTS = (
    "name",
    "registered_name",
    "module",
    "build_input_shape",
    "inbound_nodes",
    "quantization_config",
)
# The entries of a kind after the graph shape.
_NAMES = (
    "dtype",
    "rows of type",
    "batch_size",
    "validation_batch_size",
    "shuffle",
    "numbers of rows",
)
_WIDTHS = "units of the widest"
_MOST_DIFFERENCES = 3
_OF_PART = re.compile(r" of (layer \d+|optimizer|loss)$")


def traits_of(prepared: PreparedFit, units: tuple[int, ...]) -> Traits:
    """The traits of fits that train together; `units` are those of the widest in its Dense layers."""
    kind: Any = prepared.kind
    graph, *entries = kind
    traits: dict[str, Any] = dict(zip(_NAMES, entries, strict=True))
    if traits["batch_size"] == "whole":
        traits["batch_size"] = "of all rows"
    traits["monitor of early stopping"] = prepared.monitor
    if prepared.has_own_code:
        traits["model with code of the user, of"] = f"candidate {graph[0]}"
    else:
        traits |= _of_graph(json.loads(graph))
    traits[_WIDTHS] = units
    return {name: str(value) for name, value in traits.items()}


def differences(traits: Mapping[str, str], other_traits: Mapping[str, str]) -> list[str]:
    """The differing traits in words, each once, without those of parts that differ as a whole.

    Widths are a difference only of groups that have everything else in common.
    """
    differing = [name for name in [*traits, *other_traits] if traits.get(name) != other_traits.get(name)]
    if set(differing) != {_WIDTHS}:
        differing = [name for name in differing if name != _WIDTHS]
    parts = {name for name in differing if name in ("optimizer", "loss")}
    words: dict[str, None] = {}
    for name in differing:
        of_part = _OF_PART.search(name)
        if of_part and (of_part[1] in parts or ("layers" in differing and of_part[1].startswith("layer"))):
            continue
        short = _OF_PART.sub("", name)
        words[f"{short} {traits.get(name, 'not given')} instead of {other_traits.get(name, 'not given')}"] = (
            None
        )
    return list(words)


def in_words(words: list[str]) -> str:
    """The first differences, as the end of a sentence."""
    if not words:
        return "in nothing; one came later, or they were divided to fit in memory or to end sooner"
    more = f" and {len(words) - _MOST_DIFFERENCES} more" if len(words) > _MOST_DIFFERENCES else ""
    return ", ".join(words[:_MOST_DIFFERENCES]) + more


def _of_graph(graph: Any) -> Iterator[tuple[str, Any]]:
    """The traits of layers, optimizer, loss and metrics in a graph shape."""
    config = graph[0] if isinstance(graph, list) else graph
    layers = config["model"].get("layers", [])
    yield "layers", ", ".join(layer["class_name"] for layer in layers)
    for number, layer in enumerate(layers):
        for name, value in _leaves(layer["config"]):
            yield f"{name} of layer {number}", value
    for name, value in config["compile"].items():
        yield name, value["class_name"] if _is_object(value) else value
        if _is_object(value):
            for part, leaf in _leaves(value["config"]):
                yield f"{part} of {name}", leaf


def _leaves(config: Any) -> Iterator[tuple[str, Any]]:
    """The values of a config, with the class in place of an object."""
    if not isinstance(config, dict):
        return
    for name, value in config.items():
        if name not in _NAMES_OF_PARTS:
            yield name, value["class_name"] if _is_object(value) else value


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and "class_name" in value
