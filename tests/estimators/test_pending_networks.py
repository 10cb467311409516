"""Perceptrons that a search trains without building them."""

import gc
import pickle
import weakref

import keras
import numpy as np
import pytest

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor, build_model
from kerashp.estimators._training.handover import FitSuspended, suspending
from kerashp.estimators._training.pending import PendingNetwork
from kerashp.model_selection import GridSearchCV, RandomizedSearchCV

X = np.random.default_rng(0).normal(size=(60, 5))
Y = X[:, 0] - X[:, 1] ** 2


def suspended_network(estimator, y=Y):
    """The network that a search would train."""
    with pytest.raises(FitSuspended) as suspended, suspending({}):
        estimator.fit(X, y)
    return suspended.value.fitting.state.network


def initial_values(network):
    """The values of the network's variables before its training, and its learning rate."""
    model = network.make() if isinstance(network, PendingNetwork) else network
    arrays = [keras.ops.convert_to_numpy(v) for v in (*model.weights, *model.non_trainable_variables)]
    return [*arrays, keras.ops.convert_to_numpy(model.optimizer.learning_rate)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("random_state", [0, 7])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_hidden": 0},
        {"n_hidden": 3, "n_neurons": [7, 5, 3], "activation": "selu"},
        {"n_hidden": 2, "n_neurons": 40, "taper": 0.5, "kernel_initializer": "he_uniform"},
        {"n_hidden": 2, "dropout": 0.3, "batch_normalization": True, "optimizer": "sgd", "momentum": 0.8},
        {
            "kernel_initializer": "orthogonal",
            "optimizer": "adamw",
            "weight_decay": 0.1,
            "l1": 1e-3,
            "l2": 0.0,
        },
        {"kernel_initializer": "truncated_normal", "activity_l1": 1e-3, "beta_2": 0.7, "normalize": False},
        {"kernel_initializer": "auto", "activation": "mish", "optimizer": "nadam", "clipnorm": 1.0},
        {"scaling": "robust", "n_hidden": 2},
        {"numeric_embedding": "periodic", "embedding_sigma": 0.7, "dropout": 0.1},
        {"numeric_embedding": "periodic", "input_scale_rate": 5.0, "normalize": False},
        {"numeric_embedding": "piecewise", "embedding_bins": 6},
        {"parametrization": "ntk", "n_hidden": 2, "dropout": 0.1, "n_neurons": [7, 5]},
        {"parametric_activation": True, "n_hidden": 2, "n_neurons": [7, 5], "activation": "mish"},
        {
            "parametrization": "ntk",
            "n_hidden": 2,
            "batch_normalization": True,
            "numeric_embedding": "periodic",
        },
        {"heads": 3, "n_hidden": 2, "n_neurons": [7, 5], "dropout": 0.1, "activity_l1": 1e-3},
        {"heads": 2, "numeric_embedding": "piecewise", "embedding_bins": 6, "kernel_initializer": "auto"},
        {"heads": 2, "n_hidden": 0, "numeric_embedding": "periodic", "input_scale_rate": 5.0},
    ],
    ids=str,
)
def test_initial_weights_are_those_of_a_fit_bit_for_bit(monkeypatch, parameters, random_state, dtype):
    """Whatever the initializers, layers and seeds."""
    if keras.backend.backend() == "jax" and dtype == "float64":
        pytest.skip("JAX computes in double precision only with JAX_ENABLE_X64=1")
    estimator = KerasMLPRegressor(**{"n_neurons": 9, **parameters}, random_state=random_state, dtype=dtype)
    network = suspended_network(estimator)
    assert isinstance(network, PendingNetwork)
    monkeypatch.setattr("kerashp.estimators._perceptron.pending_network", lambda *_: None)
    built = suspended_network(estimator)
    assert isinstance(built, keras.Model)
    for actual, expected in zip(initial_values(network), initial_values(built), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    for actual, weight in zip(network.variant.values[0], built.trainable_variables, strict=True):
        np.testing.assert_array_equal(actual, keras.ops.convert_to_numpy(weight))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX, which compiles a draw for each shape")
@pytest.mark.parametrize("initializer", ["he_uniform", "he_normal", "random_normal"])
def test_networks_of_many_widths_are_drawn_by_programs_of_few_lengths(monkeypatch, initializer):
    from kerashp._compat.jax import namespace_of_draws

    namespace, lengths = namespace_of_draws(), set()
    for name in ("normal", "truncated_normal", "uniform"):
        draw = namespace[name]

        def noted(shape, *arguments, draw=draw, **options):
            lengths.add(shape)
            return draw(shape, *arguments, **options)

        monkeypatch.setitem(namespace, name, noted)
    for n_neurons in range(2, 40):
        mlp = KerasMLPRegressor(n_hidden=2, n_neurons=n_neurons, kernel_initializer=initializer)
        assert isinstance(suspended_network(mlp), PendingNetwork)
    lengths -= {shape for shape in lengths if len(shape) > 1}  # of the prototype, which is a model
    assert {length for (length,) in lengths} == {2**power for power in range(1, 12)}


@pytest.mark.parametrize(
    "parameters",
    [
        {"optimizer": keras.optimizers.SGD(0.1)},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)},
        {"optimizer": "adagrad"},  # its variables do not begin at zero
        {"activation": lambda x: keras.ops.tanh(2 * x)},
        {"warm_start_from": build_model(1, 30, input_shape=5)},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_other_networks_are_built(parameters):
    """Where more than numbers and widths would tell them from a model of their graph shape."""
    assert isinstance(suspended_network(KerasMLPRegressor(n_neurons=30, **parameters)), keras.Model)


def test_a_wrapper_of_build_model_trains_without_building(monkeypatch):
    """Its numbers are those of built networks."""
    estimator = KerasRegressor(build_model, n_hidden=2, optimizer="adam", epochs=4, random_state=0)
    assert isinstance(suspended_network(estimator), PendingNetwork)
    grid = {"n_neurons": [4, 6], "learning_rate": [0.01, 0.02]}
    search = GridSearchCV(estimator, grid, cv=2).fit(X, Y)
    monkeypatch.setattr("kerashp.estimators._wrapped.pending_network", lambda *_: None)
    built = GridSearchCV(estimator, grid, cv=2).fit(X, Y)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(search.cv_results_[name], built.cv_results_[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"input_shape": 4}, r"The model takes rows of shape \(4,\), but those of X have shape \(5,\)"),
        ({"n_outputs": 2}, "has width 2, but a regression target .* needs 1"),
        ({"optimizer__momentum": 0.9}, "optimizer__momentum cannot be honoured"),
    ],
)
def test_a_wrapper_of_build_model_is_checked_in_a_search(parameters, message):
    """As where its model is built."""
    estimator = KerasRegressor(build_model, epochs=1, **parameters)
    with pytest.raises(ValueError, match=message):
        GridSearchCV(estimator, {"n_neurons": [4]}, cv=2, error_score="raise").fit(X, Y)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, Y)


def test_a_normalization_of_given_rows_is_built():
    """The rows' statistics are the user's."""
    rows = np.array([[0.0] * 5, [2.0] * 5])
    assert isinstance(suspended_network(KerasRegressor(build_model, normalize=rows)), keras.Model)


def two_layers(n_neurons=4):
    """A model function of a user's."""
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(n_neurons, "relu"), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def of_many_kinds(n_neurons=4, rate=0.2, momentum=0.9, learning_rate=0.01):
    """A model function with layers that have numbers, seeds and statistics."""
    layers = [
        keras.Input((5,)),
        keras.layers.Dense(n_neurons, "relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(rate),
        keras.layers.Dense(n_neurons + 3, "tanh", kernel_initializer="orthogonal"),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(learning_rate, momentum=momentum), "mse")
    return model


def functional(n_neurons=4):
    """A model function that makes a graph of layers."""
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(n_neurons, "relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()([inputs, hidden])))
    model.compile("adam", "mse")
    return model


FUNCTIONS = [two_layers, of_many_kinds, functional]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_model_of_a_function_is_kept_as_arrays(monkeypatch, function):
    """Its initial values are those that the function gave it, and it is made from its config where needed."""
    estimator = KerasRegressor(function, n_neurons=7, random_state=3)
    network = suspended_network(estimator)
    assert isinstance(network, PendingNetwork)
    monkeypatch.setattr("kerashp.estimators._wrapped.network_like", lambda *_: None)
    built, made = suspended_network(estimator), network.make()
    assert [layer.name.split("_")[0] for layer in made.layers] == [
        layer.name.split("_")[0] for layer in built.layers
    ]
    assert made.optimizer.get_config() | {"name": ""} == built.optimizer.get_config() | {"name": ""}
    for actual, expected in zip(initial_values(network), initial_values(built), strict=True):
        np.testing.assert_array_equal(actual, expected)
    for actual, weight in zip(network.variant.values[0], built.trainable_variables, strict=True):
        np.testing.assert_array_equal(actual, keras.ops.convert_to_numpy(weight))


def test_models_of_a_function_are_released():
    """A search keeps those that it could not make again."""
    models = []

    def function(n_neurons=4):
        models.append(weakref.ref(model := two_layers(n_neurons)))
        return model

    networks = [suspended_network(KerasRegressor(function, n_neurons=n)) for n in (4, 6)]
    gc.collect()
    assert [model() for model in models] == [None, None]
    assert networks[0].architecture is networks[1].architecture


def trained_before():
    model = two_layers()
    model.fit(X, Y, verbose=0)
    return model


def with_attribute():
    model = two_layers()
    model.hyperparameters = {"n_neurons": 4}
    return model


def compiled(optimizer, activation="relu"):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, activation), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def with_schedule():
    return compiled(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)))


def with_own_activation():
    return compiled("sgd", lambda x: keras.ops.tanh(2 * x))


def with_slots_of_ones():
    return compiled(keras.optimizers.Adagrad(initial_accumulator_value=1.0))


@pytest.mark.parametrize(
    "function", [trained_before, with_attribute, with_schedule, with_own_activation, with_slots_of_ones]
)
def test_a_model_that_could_not_be_made_again_is_kept(function):
    """It has state, attributes or code that its config does not describe."""
    assert isinstance(suspended_network(KerasRegressor(function)), keras.Model)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_search_has_the_scores_that_kept_models_have(monkeypatch, function):
    """The numbers do not depend on how a network is kept."""
    estimator = KerasRegressor(function, epochs=4, random_state=0)
    search = GridSearchCV(estimator, {"n_neurons": [4, 6]}, cv=2).fit(X, Y)
    monkeypatch.setattr("kerashp.estimators._wrapped.network_like", lambda *_: None)
    kept = GridSearchCV(estimator, {"n_neurons": [4, 6]}, cv=2).fit(X, Y)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(search.cv_results_[name], kept.cv_results_[name], rtol=1e-6)
    np.testing.assert_allclose(search.predict(X), kept.predict(X), rtol=1e-5)


GRID = {"n_neurons": [4, 6], "dropout": [0.0, 0.2], "learning_rate": [0.01, 0.02]}


def test_a_search_has_the_scores_that_built_networks_have(monkeypatch):
    """The numbers do not depend on whether a network was built."""
    search = GridSearchCV(KerasMLPClassifier(epochs=4, random_state=0), GRID, cv=2)
    search.fit(X, Y > 0)
    monkeypatch.setattr("kerashp.estimators._perceptron.pending_network", lambda *_: None)
    built = GridSearchCV(KerasMLPClassifier(epochs=4, random_state=0), GRID, cv=2).fit(X, Y > 0)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], built.cv_results_["mean_test_score"], rtol=1e-6
    )
    np.testing.assert_allclose(search.predict_proba(X), built.predict_proba(X), rtol=1e-5)


def predictions_by_model(estimator, X_test, y_test):
    """A score that reads the model itself."""
    predicted = estimator.model_.predict(X_test, verbose=0).ravel()
    np.testing.assert_allclose(predicted, estimator.predict(X_test), rtol=1e-4, atol=1e-5)
    return -float(np.mean((predicted - y_test) ** 2))


@pytest.mark.parametrize(
    "estimator",
    [
        KerasMLPRegressor(),
        KerasClassifier(build_model),
        KerasRegressor(of_many_kinds),
        KerasRegressor(functional),
    ],
)
def test_a_scorer_that_asks_for_the_model_gets_the_trained_one(estimator):
    """Each fold its own, whether the network is ours or comes from a model function."""
    estimator.set_params(random_state=0, epochs=3)
    if isinstance(estimator, KerasClassifier):
        y, scorer = (Y > 0).astype(int), probabilities_by_model
    else:
        y, scorer = Y, predictions_by_model
    search = GridSearchCV(estimator, {"n_neurons": [4, 6]}, cv=3, scoring=scorer, error_score="raise")
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()


def probabilities_by_model(estimator, X_test, y_test):
    """A score that reads the model itself."""
    predicted = estimator.model_.predict(X_test, verbose=0)
    np.testing.assert_allclose(predicted[:, -1], estimator.predict_proba(X_test)[:, 1], rtol=1e-4, atol=1e-5)
    return float(((predicted[:, -1] > 0.5) == y_test).mean())


def pickled(estimator, X_test, y_test):
    """A score of a copy."""
    copy = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_allclose(copy.predict(X_test), estimator.predict(X_test), rtol=1e-5, atol=1e-6)
    return copy.score(X_test, y_test)


def test_a_scorer_may_pickle_the_estimator():
    """The copy has a model of its own, with the trained weights."""
    search = GridSearchCV(
        KerasMLPRegressor(epochs=3, random_state=0), {"n_neurons": [4, 6]}, cv=2, scoring=pickled
    )
    by_score = GridSearchCV(KerasMLPRegressor(epochs=3, random_state=0), {"n_neurons": [4, 6]}, cv=2)
    np.testing.assert_allclose(
        search.fit(X, Y).cv_results_["mean_test_score"],
        by_score.fit(X, Y).cv_results_["mean_test_score"],
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    "estimator", [KerasMLPRegressor(), KerasRegressor(build_model), KerasRegressor(two_layers)]
)
def test_no_weights_are_written_where_nobody_asks_for_a_model(monkeypatch, estimator):
    """Predictions, finite weights and names of curves need no model."""

    def refuse(*_, **__):
        raise AssertionError("a model got the weights of its member")

    monkeypatch.setattr("kerashp.training.Population.write", refuse)
    estimator.set_params(epochs=3, random_state=0)
    search = GridSearchCV(estimator, {"n_neurons": [4, 6]}, cv=2, refit=False, error_score="raise")
    assert np.isfinite(search.fit(X, Y).cv_results_["mean_test_score"]).all()


def test_model_is_no_attribute_before_fit():
    """As in scikit-learn, learned attributes come with `fit`."""
    for estimator in (KerasMLPClassifier(), KerasMLPRegressor(), KerasClassifier(build_model)):
        assert not hasattr(estimator, "model_")
        with pytest.raises(AttributeError, match="is not fitted: it has no model_ yet"):
            _ = estimator.model_


class TestRefit:
    """The best candidate, by a program of the search."""

    SEARCH = RandomizedSearchCV(
        KerasMLPRegressor(epochs=40, batch_size=4, tol=None, random_state=0),
        {"n_neurons": range(3, 9), "learning_rate": [1e-3, 3e-3]},
        n_iter=6,
        random_state=0,
        cv=2,
    )

    def test_it_is_compiled_once(self, monkeypatch):
        """`kerashp.fit` would compile another program for the refit."""

        def refuse(*_, **__):
            raise AssertionError("the refit was trained by kerashp.fit")

        monkeypatch.setattr("kerashp.estimators._base.fit", refuse)
        search = self.SEARCH.fit(X, Y)
        assert search.best_estimator_.baseline_loss_ > 0
        assert len(search.best_estimator_.history_["loss"]) == 40

    def test_it_has_the_numbers_of_a_fit(self):
        """The model, the curves and the predictions."""
        best = self.SEARCH.fit(X, Y).best_estimator_
        alone = KerasMLPRegressor(**best.get_params()).fit(X, Y)
        np.testing.assert_allclose(best.history_["loss"], alone.history_["loss"], rtol=1e-5)
        np.testing.assert_allclose(best.predict(X), alone.predict(X), rtol=1e-4, atol=1e-5)
        for weight, expected in zip(best.model_.get_weights(), alone.model_.get_weights(), strict=True):
            np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-5)

    def test_a_verbose_estimator_trains_by_itself(self, capfd):
        """A population has no progress bar of Keras'."""
        search = self.SEARCH
        estimator = search.estimator.__class__(**{**search.estimator.get_params(), "verbose": 2, "epochs": 2})
        RandomizedSearchCV(estimator, search.param_distributions, n_iter=2, cv=2, random_state=0).fit(X, Y)
        assert "Epoch 2/2" in capfd.readouterr().out
