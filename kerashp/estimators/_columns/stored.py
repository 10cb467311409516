"""What an encoder of columns has learned, as arrays in a file, without pickle."""

from collections.abc import Mapping

import numpy as np

from kerashp.estimators._columns.encoder import ColumnEncoder, Vocabulary

_MEANS, _INDICATORS, _IS_CATEGORY, _HAVE_MISSING, _LABELS = (
    f"columns:{name}" for name in ("means", "indicators", "is_category", "have_missing", "labels:")
)


def encoder_arrays(encoder: ColumnEncoder) -> dict[str, np.ndarray]:
    """The arrays from which `encoder_from_arrays` makes the encoder again; labels may be Python strings."""
    vocabularies = encoder.vocabularies
    return {
        _MEANS: encoder.means,
        _INDICATORS: encoder.indicators,
        _IS_CATEGORY: encoder.is_category,
        _HAVE_MISSING: np.array([vocabulary.has_missing for vocabulary in vocabularies], bool),
        **{f"{_LABELS}{index}": vocabulary.labels for index, vocabulary in enumerate(vocabularies)},
    }


def encoder_from_arrays(arrays: Mapping[str, np.ndarray], n_features: int) -> ColumnEncoder | None:
    """The encoder in some arrays; None where they have none, as those that kerashp 0.1 saved.

    Raises
    ------
    KeyError, ValueError
        If an array is missing, or its shape, type or order is not what an encoder has.
    """
    if _MEANS not in arrays:
        return None
    is_category = _checked(arrays, _IS_CATEGORY, "b", n_features)
    n_categories = int(np.count_nonzero(is_category))
    means = _checked(arrays, _MEANS, "f", n_features - n_categories)
    indicators = _checked(arrays, _INDICATORS, "b", n_features - n_categories)
    if np.isinf(means).any() or (indicators & np.isnan(means)).any():
        raise ValueError("a mean is infinite, or missing where there is an indicator")
    have_missing = _checked(arrays, _HAVE_MISSING, "b", n_categories)
    vocabularies = [
        Vocabulary(_checked_labels(arrays, f"{_LABELS}{index}"), bool(has_missing))
        for index, has_missing in enumerate(have_missing)
    ]
    return ColumnEncoder(means, indicators, vocabularies, is_category)


def _checked(arrays: Mapping[str, np.ndarray], name: str, kind: str, length: int) -> np.ndarray:
    array = arrays[name]
    if array.dtype.kind != kind or array.shape != (length,):
        raise ValueError(f"{name} has the shape {array.shape} and the type {array.dtype}")
    return array


def _checked_labels(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    labels = arrays[name]
    is_sorted = labels.ndim == 1 and labels.dtype.kind in "biufO" and bool((labels[:-1] < labels[1:]).all())
    if not is_sorted:
        raise ValueError(f"{name} are not sorted categories: type {labels.dtype}, shape {labels.shape}")
    return labels
