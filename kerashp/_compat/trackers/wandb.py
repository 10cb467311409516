"""Settings of W&B that it calls internal. W&B is imported where it is used."""

from typing import Any


def settings_of_bare_runs() -> Any:
    """`wandb.Settings` of a run that keeps nothing but what it is given, and prints nothing.

    Those that begin with "x_" are W&B's internal ones: they turn off what it says of the machine, its load,
    the program that runs and the packages that are installed.
    """
    import wandb

    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        silent=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
