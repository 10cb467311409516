"""The time of `import kerashp` and of `import sklearn`, in alternating new interpreters.

python benchmarks/import_time.py [runs]
"""

import statistics
import subprocess
import sys

import results

_CODE = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def seconds(module: str) -> float:
    """The time of an import in a new interpreter."""
    command = [sys.executable, "-c", _CODE.format(module)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(runs: int = 11) -> None:
    modules = ("kerashp", "kerashp.spaces", "sklearn")
    times: dict[str, list[float]] = {module: [] for module in modules}
    for module in modules:
        seconds(module)  # fills the file cache
    for _ in range(runs):
        for module in modules:
            times[module].append(seconds(module))
    medians = {module: statistics.median(values) for module, values in times.items()}
    print(results.described(results.conditions(runs)))
    for module, median in medians.items():
        ratio = median / medians["sklearn"]
        print(f"import {module:15s} median of {runs}: {median * 1e3:7.1f} ms, {ratio:5.2f} of sklearn's")
    found = {
        module: {"seconds": median, "ratio": median / medians["sklearn"]}
        for module, median in medians.items()
    }
    results.write("import_time", "imports", found, runs)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
