"""Rows of data: checked by scikit-learn, cast to the network's float type, weighted and split."""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import assert_all_finite, check_array, check_X_y, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from kerashp._arguments import short_repr
from kerashp._compat.keras_data import train_validation_split
from kerashp._compat.sklearn import checked_sample_weight, row_count
from kerashp.estimators._columns.table import Table, TableColumns

# How the errors of NumPy and scikit-learn for non-numeric X begin, which do not name X.
_NO_NUMBERS = ("could not convert", "dtype='numeric'", "setting an array", "float() argument", "The DType")

_COMPLEX = "Complex data not supported"  # how scikit-learn's error begins, which prints the whole array


class Rows(NamedTuple):
    """Rows for training or validation.

    `sample_weight` has shape (n_samples,) or is None. `positions` are the positions of the rows among those
    that were passed to `fit`; None if these are all of them.
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None
    positions: np.ndarray | None = None

    def take(self, indices: np.ndarray) -> "Rows":
        """The rows at some indices, or where a mask is true."""
        weight = None if self.sample_weight is None else self.sample_weight[indices]
        positions = np.arange(len(self.X)) if self.positions is None else self.positions
        return Rows(self.X[indices], self.y[indices], weight, positions[indices])


def checked_features(estimator: Any, X: Any, floatx: str, *, reset: bool) -> np.ndarray:
    """X of shape (n_samples, n_features, ...), dense and finite, its columns encoded.

    Integers stay, other numbers are cast to `floatx`, unless the estimator encodes them first.
    """
    X = _validated(estimator, X, reset=reset)
    X = _dense_features(estimator, X, floatx, reset=reset)
    return _encoded(estimator, X, None, reset=reset)


def checked_rows(estimator: Any, X: Any, y: Any, sample_weight: Any, floatx: str, *, reset: bool) -> Rows:
    """X, y and the sample weights of a fit, checked to have equal lengths."""
    numeric = not is_classifier(estimator)
    _check_targets(y, numeric=numeric)
    X, y = _validated(estimator, X, y, reset=reset, multi_output=True, y_numeric=numeric)
    X = _dense_features(estimator, X, floatx, reset=reset)
    multioutput = getattr(estimator, "_encodes_targets", False)
    y = _checked_values(y, floatx) if numeric else checked_labels(y, multioutput=multioutput)
    if sample_weight is not None:
        sample_weight = _checked_weight(sample_weight, X, floatx)
    return Rows(_encoded(estimator, X, sample_weight, reset=reset), y, sample_weight)


def _validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """X and, if it is passed, y, checked; X with categories is a `Table` then."""
    _check_one_array(X, *y)
    try:
        return _checked_by_sklearn(estimator, X, *y, **options)
    except (TypeError, ValueError) as error:
        if str(error).startswith(_COMPLEX):
            name, array = next(
                (name, data) for name, data in zip("Xy", (X, *y), strict=False) if _is_complex(data)
            )
            raise _complex_error(name, array) from None
        if not str(error).startswith(_NO_NUMBERS):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"X must hold numbers, in rows of one length: {error} {estimator._remedy_for_text}"
        ) from error


def _checked_by_sklearn(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    columns = estimator._table_columns(X, reset=options["reset"]) if estimator._encodes_columns else None
    if columns is not None:
        return _checked_table(estimator, X, columns, *y, **options)
    if estimator._encodes_columns:
        options["ensure_all_finite"] = "allow-nan"
    return validate_data(estimator, X, *y, allow_nd=True, accept_sparse=("csr", "csc"), **options)


def _checked_table(
    estimator: Any, X: Any, columns: TableColumns, *y: Any, reset: bool, **options: Any
) -> Any:
    """The table of X and, if it is passed, y: names, numbers of columns and rows, and y are checked."""
    validate_data(estimator, X, *y, reset=reset, skip_check_array=True)
    table = estimator._read_table(X, columns)
    rows = np.zeros((len(table), 1))
    if not y:
        check_array(rows, estimator=estimator, input_name="X")
        return table
    return table, check_X_y(rows, *y, estimator=estimator, **options)[1]


def _encoded(estimator: Any, X: Any, sample_weight: np.ndarray | None, *, reset: bool) -> np.ndarray:
    if not estimator._encodes_columns:
        return X
    encoded: np.ndarray = (
        estimator._learn_columns(X, sample_weight) if reset else estimator._encoded_columns(X)
    )
    return encoded


def _is_complex(array: Any) -> bool:
    return np.iscomplexobj(array.data if sparse.issparse(array) else array)


def _complex_error(name: str, array: Any) -> ValueError:
    """The error to raise for complex numbers, without scikit-learn's print of the whole array."""
    received = short_repr(array if sparse.issparse(array) else np.asarray(array))
    return ValueError(
        f"{_COMPLEX}: {name} must hold real numbers; got {received}. Pass the real and imaginary parts "
        f"({name}.real and {name}.imag) as columns"
    )


def _check_one_array(X: Any, y: Any = None) -> None:
    """Refuse several arrays, which a Keras model with several inputs would take."""
    if sparse.issparse(X):  # dok_array is a dict
        return
    is_several = isinstance(X, Mapping)
    if isinstance(X, list | tuple) and X and all(isinstance(array, np.ndarray) and array.ndim for array in X):
        lengths, n_rows = {len(array) for array in X}, None if y is None else row_count(y)
        shapes_differ = min(array.ndim for array in X) > 1 and len({array.shape[1:] for array in X}) > 1
        is_several = len(lengths) == 1 and (shapes_differ or (lengths == {n_rows} and n_rows != len(X)))
    if is_several:
        kind, arrays = type(X).__name__, list(X.values()) if isinstance(X, Mapping) else X
        shapes = ", ".join(str(np.shape(array)) for array in arrays)
        raise TypeError(
            f"X is a {kind} of {len(X)} arrays, of shapes {shapes}; an estimator takes one array. Join them "
            "with numpy.hstack, and override feature_encoder in a subclass to split the rows again for a "
            "model of several inputs; or train the model with kerashp.fit, which takes several inputs"
        )


def _check_targets(y: Any, *, numeric: bool) -> None:
    """Refuse targets for which scikit-learn's error does not name y."""
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
        weight = checked_sample_weight(sample_weight, X.numbers if isinstance(X, Table) else X)
    except (TypeError, ValueError) as error:
        if str(error).startswith(_COMPLEX):
            raise _complex_error("sample_weight", sample_weight) from None
        if "sample" in str(error).lower():
            raise
        raise ValueError(f"sample_weight must hold a number of at least 0 for each row: {error}") from error
    return cast_to_float(weight, floatx, "sample_weight")


def _dense_features(estimator: Any, X: Any, floatx: str, *, reset: bool) -> Any:
    if isinstance(X, Table):
        if reset:
            estimator._dtype_of_X = X.numbers.dtype
        return replace(X, numbers=cast_to_float(X.numbers, floatx, "X", allow_nan=True))
    X = X.toarray() if sparse.issparse(X) else X
    if reset and X.ndim > 2 and not estimator._takes_axes:
        raise ValueError(
            f"{type(estimator).__name__} takes X of shape (n_samples, n_features); got {X.shape}: flatten "
            "rows with X.reshape(len(X), -1), or use "
            f"{type(estimator).__name__.replace('MLP', '')}, whose model takes rows of any shape"
        )
    if reset:
        estimator._dtype_of_X = X.dtype
    else:
        _check_row_shape(estimator, X)
    _check_numbers(X, "X", "encode it, say with sklearn.preprocessing")
    # An encoder gets the values that the user passed, since float32 would round dates.
    keeps_type = X.dtype.kind in "biu" or getattr(estimator, "_encodes_features", False)
    return X if keeps_type else cast_to_float(X, floatx, "X", allow_nan=estimator._encodes_columns)


def _check_row_shape(estimator: Any, X: np.ndarray) -> None:
    shape = (estimator.n_features_in_,) if estimator._encodes_columns else estimator._input_shape
    if X.shape[1:] != shape:
        raise ValueError(
            f"X has rows of shape {X.shape[1:]}, but {type(estimator).__name__} was fitted with rows of "
            f"shape {shape}: there must be {len(shape) + 1} dimensions in X"
        )


def _check_numbers(array: np.ndarray, name: str, remedy: str) -> None:
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must hold numbers; got type {array.dtype}, such as {array.ravel()[0]!r}: {remedy}"
        )


def cast_to_float(array: np.ndarray, floatx: str, name: str, *, allow_nan: bool = False) -> np.ndarray:
    """The array in the network's float type, in which it must be finite, or missing if that is allowed."""
    with np.errstate(over="ignore", invalid="ignore"):  # scikit-learn's check adds inf to -inf
        array = array.astype(floatx, copy=False)
        assert_all_finite(array, input_name=name, allow_nan=allow_nan)
    return array


def checked_labels(y: Any, *, multioutput: bool = False) -> np.ndarray:
    """Labels or an indicator matrix for a classifier; with `multioutput`, also several columns of labels."""
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
    if not multioutput and type_of_target(y) == "multiclass-multioutput":
        raise ValueError(
            f"y holds several columns of classes (multiclass-multioutput, shape {y.shape}); one network "
            "gives one column of classes or an indicator matrix: wrap the estimator in "
            "sklearn.multioutput.MultiOutputClassifier, or override target_encoder in a subclass"
        )
    return y


def checked_classes(classes: Any) -> np.ndarray:
    """The sorted labels from the argument `classes` of `partial_fit`."""
    classes = np.asarray(classes)
    if classes.ndim != 1 or len(classes) < 2:
        raise ValueError(f"classes must list 2 labels or more, shape (n_classes,); got shape {classes.shape}")
    assert_all_finite(classes, input_name="classes")
    return np.unique(checked_labels(classes))


def check_labels_listed(classes: np.ndarray, y: np.ndarray) -> None:
    """Refuse labels that are missing from the argument `classes`."""
    if y.ndim != 1:
        raise ValueError(
            f"classes={classes.tolist()} was passed with a multilabel y of shape {y.shape}, whose labels "
            "are its columns: leave classes out"
        )
    unknown = [label for label in np.unique(y).tolist() if label not in classes.tolist()]
    if unknown:
        raise ValueError(
            f"y holds the classes {unknown}, missing from classes={classes.tolist()}: list all labels "
            "that any later call may have"
        )


def _checked_values(y: Any, floatx: str) -> np.ndarray:
    if sparse.issparse(y):
        y = y.toarray()
    _check_numbers(y, "y", "encode it, or use a classifier")
    cast_to_float(y, floatx, "y")
    return y


def apply_class_weight(rows: Rows, class_weight: Any, encoder: Any) -> Rows:
    """The rows with the class weights multiplied into the sample weights."""
    if class_weight is None:
        return rows
    _check_class_weight(class_weight)
    weight = _weight_of_labels(class_weight, rows.y, encoder)
    weight = weight if rows.sample_weight is None else weight * rows.sample_weight
    return rows._replace(sample_weight=weight)


def _weight_of_labels(class_weight: Any, y: np.ndarray, encoder: Any) -> np.ndarray:
    """A weight for each row, also if the rows lack a label of the dict, which scikit-learn would refuse."""
    if y.ndim > 1 or isinstance(class_weight, str):
        return compute_sample_weight(class_weight, y)
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight must be a dict or 'balanced' for one column of classes; got {class_weight!r}"
        )
    labels = encoder.classes_.tolist()
    unknown = [label for label in class_weight if label not in labels]
    missing = [label for label in labels if label not in class_weight]
    if unknown and missing:
        raise ValueError(
            f"class_weight names {unknown}, which are not among the classes {labels} of y, and leaves out "
            f"{missing}: use the labels of y"
        )
    return np.array([class_weight.get(label, 1.0) for label in y.tolist()], dtype=float)


def _check_class_weight(class_weight: Any) -> None:
    for weights in class_weight if isinstance(class_weight, list) else [class_weight]:
        if not isinstance(weights, dict):
            continue
        for label, weight in weights.items():
            if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
                raise ValueError(
                    "class_weight must give each label a finite number of at least 0; "
                    f"got {{{label!r}: {weight!r}}}"
                )


def drop_zero_weights(rows: Rows) -> Rows:
    """The rows without those of weight 0, so that a weight of 0 equals leaving the row out."""
    if rows.sample_weight is None or rows.sample_weight.all():
        return rows
    return rows.take(rows.sample_weight != 0)


def hold_out(rows: Rows, fraction: float, *, stratify: bool, seed: int) -> tuple[Rows, Rows]:
    """Split random validation rows off, with the proportions of the classes preserved if `stratify` is True.

    A class with a single row then stays in the training rows.

    Raises
    ------
    ValueError
        If there are too few rows, or too few rows of a class, to hold out a part.
    """
    is_single = _is_single_of_class(rows.y) if stratify else np.zeros(len(rows.X), bool)
    try:
        train, valid = train_test_split(
            np.flatnonzero(~is_single),
            test_size=fraction,
            stratify=rows.y[~is_single] if stratify else None,
            random_state=seed,
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True holds out validation_fraction={fraction} of the {len(rows.X)} training "
            f"rows, which failed: {error} Pass validation_data to fit, or early_stopping=False"
        ) from error
    return rows.take(np.concatenate([train, np.flatnonzero(is_single)])), rows.take(valid)


def _is_single_of_class(y: np.ndarray) -> np.ndarray:
    """Which rows are the only ones of their class."""
    _, classes, counts = np.unique(y, return_inverse=True, return_counts=True)
    return counts[classes.reshape(-1)] == 1


def last_rows(rows: Rows, fraction: float) -> tuple[Rows, Rows]:
    """Split the last rows off for validation, with Keras' rule of `validation_split`.

    Raises
    ------
    ValueError
        If there are too few rows to hold out a part.
    """
    indices = (np.arange(len(rows.X)),)
    (train,), (valid,) = train_validation_split(indices, fraction)
    return rows.take(train), rows.take(valid)
