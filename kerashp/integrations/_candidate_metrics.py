"""The numbers of a candidate by name, as trackers of experiments keep them."""

from kerashp.model_selection._logging.protocol import CandidateResult


def final_metrics(result: CandidateResult) -> dict[str, float]:
    """Scores and best epochs by their names in `cv_results_`, and the seconds."""
    metrics: dict[str, float] = {}
    for rows, scores in (("test", result.test_scores), ("train", result.train_scores)):
        for name, by_split in scores.items():
            metrics[f"mean_{rows}_{name}"] = float(by_split.mean())
            metrics |= {f"split{split}_{rows}_{name}": float(score) for split, score in enumerate(by_split)}
    epochs = enumerate(result.best_epochs)
    metrics |= {f"split{split}_best_epoch": epoch for split, epoch in epochs if epoch is not None}
    return metrics | {"seconds": result.seconds}


def metrics_by_epoch(result: CandidateResult) -> list[dict[str, float]]:
    """The learning curves at each epoch: means by Keras' names, those of a split as "split0/loss"."""
    curves = result.mean_history()
    for split, history in enumerate(result.histories):
        curves |= {f"split{split}/{name}": curve for name, curve in (history or {}).items()}
    n_epochs = max(map(len, curves.values()), default=0)
    return [
        {name: float(curve[epoch]) for name, curve in curves.items() if epoch < len(curve)}
        for epoch in range(n_epochs)
    ]
