"""One-hot columns and embeddings of the categories of a table."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from kerashp._arguments import Arguments

_CHECK = Arguments("CategoricalColumns")

# Of the arguments of a `CategoricalColumns`.
SIZE_NAMES = ("n_one_hot", "n_one_hot_categories", "n_embedded", "n_embedded_categories", "embedding_dim")


@dataclass(frozen=True)
class ColumnSizes:
    """What the columns of an encoded table are, from left to right.

    Codes are those of `CategoricalColumns`.
    """

    n_numbers: int
    n_indicators: int = 0  # of missing numbers
    n_one_hot: int = 0  # columns of codes
    n_one_hot_categories: int = 0  # of all these columns
    n_embedded: int = 0
    n_embedded_categories: int = 0
    embedding_dim: int = 0

    @property
    def n_columns(self) -> int:
        """The columns of the encoded table."""
        return self.n_numbers + self.n_indicators + self.n_one_hot + self.n_embedded

    @property
    def width(self) -> int:
        """The columns with those of categories in place of their codes."""
        categories = self.n_one_hot_categories + self.n_embedded * self.embedding_dim
        return self.n_numbers + self.n_indicators + categories

    @property
    def n_weights(self) -> int:
        """The weights of the embeddings."""
        return self.n_embedded_categories * self.embedding_dim

    @property
    def kind(self) -> tuple[int, ...]:
        """What tables have in common whose networks differ in widths alone."""
        return self.n_numbers, self.n_indicators, self.n_one_hot, self.n_embedded

    @property
    def of_layer(self) -> dict[str, int] | None:
        """The arguments of a `CategoricalColumns`; None if there are no categories."""
        has_categories = self.n_one_hot + self.n_embedded
        return {name: getattr(self, name) for name in SIZE_NAMES} if has_categories else None


@keras.saving.register_keras_serializable(package="kerashp")
class CategoricalColumns(keras.layers.Layer):
    """Replace the codes of categories at the end of each row by one-hot columns and by embeddings.

    A row ends with `n_one_hot` codes of categories that become one-hot, then `n_embedded` codes of categories
    that are embedded; all that comes before is passed on. A code is the number of a category among those of
    all columns of its kind, from 0: that of the second column's first category is the number of categories of
    the first column. A code of -1, of a category that is not known, becomes zeros.

    Parameters
    ----------
    n_one_hot : int, default=0
        The number of columns whose categories become one-hot.
    n_one_hot_categories : int, default=0
        The number of categories of all these columns.
    n_embedded : int, default=0
        The number of columns whose categories are embedded.
    n_embedded_categories : int, default=0
        The number of categories of all these columns.
    embedding_dim : int, default=8
        The length of the vector for each category.
    embeddings_initializer : str or keras Initializer, default="uniform"
        The initializer of the embeddings; the default is Keras'.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    embedding : keras.layers.Embedding or None
        The embeddings of the categories of all columns; None if there are none.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
    Tabular Data*, NeurIPS 2024, arXiv:2407.04491: one-hot columns for up to 9 categories, embeddings of
    length 8 above.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import CategoricalColumns
    >>> layer = CategoricalColumns(n_one_hot=2, n_one_hot_categories=5)  # of 2 and 3 categories
    >>> np.asarray(layer(np.array([[0.5, 1, 2], [0.7, 0, -1]]))).tolist()
    [[0.5, 0.0, 1.0, 1.0, 0.0, 0.0], [0.699999988079071, 1.0, 0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        n_one_hot: int = 0,
        n_one_hot_categories: int = 0,
        n_embedded: int = 0,
        n_embedded_categories: int = 0,
        embedding_dim: int = 8,
        embeddings_initializer: Any = "uniform",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.autocast = False  # a narrow float type would round the codes
        self.n_one_hot = _CHECK.integer("n_one_hot", n_one_hot, at_least=0)
        self.n_one_hot_categories = _CHECK.integer("n_one_hot_categories", n_one_hot_categories, at_least=0)
        self.n_embedded = _CHECK.integer("n_embedded", n_embedded, at_least=0)
        self.n_embedded_categories = _CHECK.integer(
            "n_embedded_categories", n_embedded_categories, at_least=0
        )
        self.embedding_dim = _CHECK.integer("embedding_dim", embedding_dim, at_least=0)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embedding: Any = None
        if self.n_embedded:
            self.embedding = keras.layers.Embedding(
                self.n_embedded_categories,
                self.embedding_dim,
                embeddings_initializer=self.embeddings_initializer,
                name="embedding",
                dtype=self.dtype_policy,
            )
        self.supports_masking = True

    @property
    def weight_initializers(self) -> list[Any]:
        """What draws the initial value of each weight, in their order.

        Returns
        -------
        list of callable
            Each takes a shape and a dtype.
        """
        return [] if self.embedding is None else [self.embeddings_initializer]

    def build(self, input_shape: Any) -> None:
        if self.embedding is not None:
            self.embedding.build()

    def call(self, inputs: Any) -> Any:
        n_others = inputs.shape[-1] - self.n_one_hot - self.n_embedded
        parts = [ops.cast(inputs[..., :n_others], self.compute_dtype)] if n_others else []
        if self.n_one_hot:
            parts.append(self._one_hot(inputs[..., n_others : n_others + self.n_one_hot]))
        if self.n_embedded:
            parts.append(self._embedded(inputs[..., n_others + self.n_one_hot :]))
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    def _one_hot(self, codes: Any) -> Any:
        is_category = ops.equal(
            ops.expand_dims(codes, -1), ops.arange(self.n_one_hot_categories, dtype=codes.dtype)
        )
        return ops.sum(ops.cast(is_category, self.compute_dtype), axis=-2)

    def _embedded(self, codes: Any) -> Any:
        vectors = self.embedding(ops.maximum(codes, 0))
        is_known = ops.cast(ops.expand_dims(codes, -1) >= 0, self.compute_dtype)
        return ops.reshape(vectors * is_known, (-1, self.n_embedded * self.embedding_dim))

    def compute_output_shape(self, input_shape: Any) -> Any:
        n_others = input_shape[-1] - self.n_one_hot - self.n_embedded
        n_outputs = self.n_one_hot_categories + self.n_embedded * self.embedding_dim
        return (*input_shape[:-1], n_others + n_outputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in SIZE_NAMES},
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }
