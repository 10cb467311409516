"""TensorBoard's event files as bytes: the records of its scalars and of its HParams plugin.

Its modules have no stability promise. Its own writers of hyperparameters call TensorFlow, as
`tensorboard.summary.Writer` does to open its file; what is here does not.
"""

import io
from collections.abc import Iterable, Mapping, Sequence

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import (
    DATA_TYPE_BOOL,
    DATA_TYPE_FLOAT64,
    DATA_TYPE_STRING,
    STATUS_FAILURE,
    STATUS_SUCCESS,
    Experiment,
    HParamInfo,
    MetricInfo,
    MetricName,
)
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

_TYPES = {bool: DATA_TYPE_BOOL, float: DATA_TYPE_FLOAT64, str: DATA_TYPE_STRING}


def event_file(events: Iterable[Event], wall_time: float) -> bytes:
    """The content of a file of events, which begins with the version of its format: `RecordWriter`."""
    file = io.BytesIO()
    writer = RecordWriter(file)
    for event in [Event(wall_time=wall_time, file_version="brain.Event:2"), *events]:
        writer.write(event.SerializeToString())
    return file.getvalue()


def scalar(tag: str, value: float, step: int, wall_time: float) -> Event:
    """A point of a curve: `scalar_pb` of the scalars plugin."""
    return Event(wall_time=wall_time, step=step, summary=scalar_pb(tag, value))


def hyperparameter(
    name: str,
    title: str,
    kind: type[bool] | type[float] | type[str],
    values: Sequence[bool | float | str] = (),
    interval: tuple[float, float] | None = None,
) -> HParamInfo:
    """What the HParams page knows of a hyperparameter: its title, its type, and its values or its range."""
    info = HParamInfo(name=name, display_name=title, type=_TYPES[kind])
    if interval is not None:
        info.domain_interval.min_value, info.domain_interval.max_value = interval
    elif values:
        info.domain_discrete.extend(values)
    return info


def experiment(
    description: str, hyperparameters: Sequence[HParamInfo], metrics: Sequence[str], wall_time: float
) -> Event:
    """The record of an experiment, whose sessions have these hyperparameters and metrics."""
    record = Experiment(
        description=description,
        time_created_secs=wall_time,
        hparam_infos=hyperparameters,
        metric_infos=[MetricInfo(name=MetricName(tag=tag)) for tag in metrics],
    )
    return _event(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=record), wall_time)


def session_start(trial: str, params: Mapping[str, bool | float | str], wall_time: float) -> Event:
    """The record of a session's start, with the values of its hyperparameters.

    Sessions of the same trial would be one line of the page.
    """
    record = SessionStartInfo(group_name=trial, start_time_secs=wall_time)
    for name, value in params.items():
        if isinstance(value, bool):
            record.hparams[name].bool_value = value
        elif isinstance(value, str):
            record.hparams[name].string_value = value
        else:
            record.hparams[name].number_value = value
    return _event(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=record), wall_time)


def session_end(is_failed: bool, wall_time: float) -> Event:
    """The record of a session's end."""
    status = STATUS_FAILURE if is_failed else STATUS_SUCCESS
    record = SessionEndInfo(status=status, end_time_secs=wall_time)
    return _event(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=record), wall_time)


def _event(tag: str, content: HParamsPluginData, wall_time: float) -> Event:
    value = Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(content), tensor=metadata.NULL_TENSOR
    )
    return Event(wall_time=wall_time, summary=Summary(value=[value]))
