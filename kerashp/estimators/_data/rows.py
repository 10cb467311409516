"""Input rows: checked by scikit-learn, cast to the network's float type, weighted, split."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from kerashp._arguments import shown
from kerashp._compat.keras_data import train_validation_split
from kerashp._compat.sklearn import checked_sample_weight, row_count

# How NumPy and scikit-learn begin what they say of such an X, without naming it.
_NO_NUMBERS = ("could not convert", "dtype='numeric'", "setting an array", "float() argument", "The DType")

_COMPLEX = "Complex data not supported"  # and so it begins, to print them all, what it says of such numbers


class Rows(NamedTuple):
    """Rows that a network trains or is validated on.

    `sample_weight` is of shape (n_samples,) or None; `at` are the rows' positions among those that were
    passed, None where they are all.
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None
    at: np.ndarray | None = None

    def take(self, indices: np.ndarray) -> "Rows":
        """The rows at some positions, or under a mask."""
        weight = None if self.sample_weight is None else self.sample_weight[indices]
        at = np.arange(len(self.X)) if self.at is None else self.at
        return Rows(self.X[indices], self.y[indices], weight, at[indices])


def checked_features(estimator: Any, X: Any, floatx: str, *, reset: bool) -> np.ndarray:
    """X, (n_samples, n_features, ...), dense and finite.

    Integers stay, other numbers become `floatx`, but for an estimator that encodes them first.
    """
    X = _validated(estimator, X, reset=reset)
    return _as_float(estimator, X, floatx, reset=reset)


def checked_rows(estimator: Any, X: Any, y: Any, sample_weight: Any, floatx: str, *, reset: bool) -> Rows:
    """X, y and the weights of a fit, of equal length."""
    numeric = not is_classifier(estimator)
    _check_targets(y, numeric=numeric)
    X, y = _validated(estimator, X, y, reset=reset, multi_output=True, y_numeric=numeric)
    X = _as_float(estimator, X, floatx, reset=reset)
    several = getattr(estimator, "_encodes_targets", False)
    y = _checked_values(y, floatx) if numeric else checked_labels(y, several=several)
    if sample_weight is not None:
        sample_weight = _checked_weight(sample_weight, X, floatx)
    return Rows(X, y, sample_weight)


def _validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    _check_one_array(X, *y)
    try:
        return validate_data(estimator, X, *y, allow_nd=True, accept_sparse=("csr", "csc"), **options)
    except (TypeError, ValueError) as error:
        if str(error).startswith(_COMPLEX):
            name, array = next(
                (name, own) for name, own in zip("Xy", (X, *y), strict=False) if _is_complex(own)
            )
            raise _complex_error(name, array) from None
        if not str(error).startswith(_NO_NUMBERS):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"X must hold numbers, in rows of one length: {error} Encode text and dates, say with "
            "sklearn.preprocessing.OneHotEncoder"
        ) from error


def _is_complex(array: Any) -> bool:
    return np.iscomplexobj(array.data if sparse.issparse(array) else array)


def _complex_error(name: str, array: Any) -> ValueError:
    """scikit-learn's error with the type of the numbers in place of all of them; to be raised."""
    received = shown(array if sparse.issparse(array) else np.asarray(array))
    return ValueError(
        f"{_COMPLEX}: {name} must hold real numbers; got {received}. Pass the real and imaginary parts "
        f"({name}.real and {name}.imag) as columns"
    )


def _check_one_array(X: Any, y: Any = None) -> None:
    """Refuse several arrays, which Keras' models take, by name."""
    if sparse.issparse(X):  # of which some are dicts
        return
    several = isinstance(X, Mapping)
    if isinstance(X, list | tuple) and X and all(isinstance(own, np.ndarray) and own.ndim for own in X):
        lengths, n_rows = {len(own) for own in X}, None if y is None else row_count(y)
        apart = min(own.ndim for own in X) > 1 and len({own.shape[1:] for own in X}) > 1
        several = len(lengths) == 1 and (apart or (lengths == {n_rows} and n_rows != len(X)))
    if several:
        kind, arrays = type(X).__name__, list(X.values()) if isinstance(X, Mapping) else X
        shapes = ", ".join(str(np.shape(own)) for own in arrays)
        raise TypeError(
            f"X is a {kind} of {len(X)} arrays, of shapes {shapes}; an estimator takes one array. Join them "
            "with numpy.hstack, and override feature_encoder in a subclass to split the rows again for a "
            "model of several inputs; or train the model with kerashp.fit, which takes several inputs"
        )


def _check_targets(y: Any, *, numeric: bool) -> None:
    """Refuse what scikit-learn refuses without saying that it is y."""
    if y is None or sparse.issparse(y):
        return
    try:
        values = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"y must have the shape (n_samples,) or (n_samples, n_outputs): {error}") from error
    if values.ndim not in (1, 2) or 0 in values.shape[1:]:
        raise ValueError(
            f"y must have the shape (n_samples,) or (n_samples, n_outputs); got {values.shape}: reshape it"
        )
    if values.dtype.kind != "O":
        return
    kinds = sorted({type(item).__name__ for item in values.ravel()})
    if any(item is None or (isinstance(item, float) and np.isnan(item)) for item in values.ravel()):
        raise ValueError(f"Input y contains NaN or None among objects of type {', '.join(kinds)}: drop those")
    if numeric and "str" in kinds:
        raise ValueError(f"y must hold numbers; got objects of type {', '.join(kinds)}: use a classifier")


def _checked_weight(sample_weight: Any, X: np.ndarray, floatx: str) -> np.ndarray:
    try:
        weight = checked_sample_weight(sample_weight, X)
    except (TypeError, ValueError) as error:
        if str(error).startswith(_COMPLEX):
            raise _complex_error("sample_weight", sample_weight) from None
        if "sample" in str(error).lower():
            raise
        raise ValueError(f"sample_weight must hold a number of at least 0 for each row: {error}") from error
    return narrowed(weight, floatx, "sample_weight")


def _as_float(estimator: Any, X: Any, floatx: str, *, reset: bool) -> np.ndarray:
    X = X.toarray() if sparse.issparse(X) else X
    if reset and X.ndim > 2 and not estimator._takes_axes:
        raise ValueError(
            f"{type(estimator).__name__} takes X of shape (n_samples, n_features); got {X.shape}: flatten "
            "rows with X.reshape(len(X), -1), or use "
            f"{type(estimator).__name__.replace('MLP', '')}, whose model takes rows of any shape"
        )
    if reset:
        estimator._dtype_of_X = X.dtype
    if not reset and X.shape[1:] != estimator._input_shape:
        raise ValueError(
            f"X has rows of shape {X.shape[1:]}, but {type(estimator).__name__} was fitted with rows of "
            f"shape {estimator._input_shape}: there must be {len(estimator._input_shape) + 1} dimensions in X"
        )
    _check_numbers(X, "X", "encode it, say with sklearn.preprocessing")
    # An encoder gets what the user passed: to subtract a date from a date wants all its digits.
    kept = X.dtype.kind in "biu" or getattr(estimator, "_encodes_features", False)
    return X if kept else narrowed(X, floatx, "X")


def _check_numbers(array: np.ndarray, name: str, remedy: str) -> None:
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must hold numbers; got type {array.dtype}, such as {array.ravel()[0]!r}: {remedy}"
        )


def narrowed(array: np.ndarray, floatx: str, name: str) -> np.ndarray:
    """The array in the network's float type, refused if it holds what is infinite there."""
    with np.errstate(over="ignore", invalid="ignore"):  # scikit-learn's check adds inf to -inf
        array = array.astype(floatx, copy=False)
        assert_all_finite(array, input_name=name)
    return array


def checked_labels(y: Any, *, several: bool = False) -> np.ndarray:
    """Labels, or an indicator matrix, or if there may be `several` columns of labels, for a classifier."""
    if sparse.issparse(y):
        y = y.toarray()
    if y.dtype.kind == "O" and not all(isinstance(label, str) for label in y.ravel()):
        kinds = sorted({type(label).__name__ for label in y.ravel()})
        raise ValueError(
            "Unknown label type: y must hold labels of one type, strings or numbers; got objects of type "
            f"{', '.join(kinds)}: convert it, say with y.astype(str)"
        )
    check_classification_targets(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if not several and type_of_target(y) == "multiclass-multioutput":
        raise ValueError(
            f"y holds several columns of classes (multiclass-multioutput, shape {y.shape}); one network "
            "gives one column of classes or an indicator matrix: wrap the estimator in "
            "sklearn.multioutput.MultiOutputClassifier, or override target_encoder in a subclass"
        )
    return y


def checked_classes(classes: Any) -> np.ndarray:
    """All labels there will ever be, sorted, from what the caller lists."""
    classes = np.asarray(classes)
    if classes.ndim != 1 or len(classes) < 2:
        raise ValueError(f"classes must list 2 labels or more, shape (n_classes,); got shape {classes.shape}")
    assert_all_finite(classes, input_name="classes")
    return np.unique(checked_labels(classes))


def check_listed(classes: np.ndarray, y: np.ndarray) -> None:
    """Refuse labels that the caller's list of classes lacks."""
    if y.ndim != 1:
        raise ValueError(
            f"classes={classes.tolist()} was given for a multilabel y of shape {y.shape}, whose labels are "
            "its columns: leave classes out"
        )
    unknown = [label for label in np.unique(y).tolist() if label not in classes.tolist()]
    if unknown:
        raise ValueError(
            f"y holds the classes {unknown}, missing from classes={classes.tolist()}: list all labels that "
            "there will ever be"
        )


def _checked_values(y: Any, floatx: str) -> np.ndarray:
    if sparse.issparse(y):
        y = y.toarray()
    _check_numbers(y, "y", "encode it, or use a classifier")
    narrowed(y, floatx, "y")
    return y


def weighted(rows: Rows, class_weight: Any, encoder: Any) -> Rows:
    """The rows with their class weights multiplied into the sample weights."""
    if class_weight is None:
        return rows
    _check_class_weight(class_weight)
    of_class = _of_class(class_weight, rows.y, encoder)
    weight = of_class if rows.sample_weight is None else of_class * rows.sample_weight
    return rows._replace(sample_weight=weight)


def _of_class(class_weight: Any, y: np.ndarray, encoder: Any) -> np.ndarray:
    """A weight a row. scikit-learn's function would refuse rows that lack a label which the dict names."""
    if y.ndim > 1 or isinstance(class_weight, str):
        return compute_sample_weight(class_weight, y)
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight must be a dict or 'balanced' for one column of classes; got {class_weight!r}"
        )
    labels = encoder.classes_.tolist()
    unknown = [label for label in class_weight if label not in labels]
    without = [label for label in labels if label not in class_weight]
    if unknown and without:
        raise ValueError(
            f"class_weight names {unknown}, which are not among the classes {labels} of y, and leaves out "
            f"{without}: name the labels as y does"
        )
    return np.array([class_weight.get(label, 1.0) for label in y.tolist()], dtype=float)


def _check_class_weight(class_weight: Any) -> None:
    for of_label in class_weight if isinstance(class_weight, list) else [class_weight]:
        if not isinstance(of_label, dict):
            continue
        for label, weight in of_label.items():
            if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
                raise ValueError(
                    "class_weight must give each label a finite number of at least 0; "
                    f"got {{{label!r}: {weight!r}}}"
                )


def with_weight(rows: Rows) -> Rows:
    """The rows without those of weight zero, so that a zero weight is the same as no row."""
    if rows.sample_weight is None or rows.sample_weight.all():
        return rows
    return rows.take(rows.sample_weight != 0)


def hold_out(rows: Rows, fraction: float, *, stratify: bool, seed: int) -> tuple[Rows, Rows]:
    """Training rows and validation rows, with the classes in equal shares where `stratify` is set.

    A class of one row then stays among the training rows.

    Raises
    ------
    ValueError
        If there are too few rows, or too few of a class, to give up a part.
    """
    kept = _only_of_their_class(rows.y) if stratify else np.zeros(len(rows.X), bool)
    try:
        train, valid = train_test_split(
            np.flatnonzero(~kept),
            test_size=fraction,
            stratify=rows.y[~kept] if stratify else None,
            random_state=seed,
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True holds out validation_fraction={fraction} of the {len(rows.X)} training "
            f"rows, which failed: {error} Pass validation_data to fit, or early_stopping=False"
        ) from error
    return rows.take(np.concatenate([train, np.flatnonzero(kept)])), rows.take(valid)


def _only_of_their_class(y: np.ndarray) -> np.ndarray:
    """Which rows are."""
    _, of_class, counts = np.unique(y, return_inverse=True, return_counts=True)
    return counts[of_class.reshape(-1)] == 1


def last_rows(rows: Rows, fraction: float) -> tuple[Rows, Rows]:
    """Training rows and validation rows, the last ones, by Keras' own rule of `validation_split`.

    Raises
    ------
    ValueError
        If there are too few rows to give up a part.
    """
    places = (np.arange(len(rows.X)),)
    (train,), (valid,) = train_validation_split(places, fraction)
    return rows.take(train), rows.take(valid)
