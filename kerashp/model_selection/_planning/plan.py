"""The plan of a search: which fits train together, how wide, and which train by themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.model_selection._fits.result import FitId
from kerashp.model_selection._planning.traits import Traits, differences, in_words
from kerashp.training import Costs, Room, block_size, n_cores

_LINE = "{:>5}  {:>7}  {:>10}  {:>7}  {:>7}  {:>8}  {:>8}  {}"
_HEAD = ("group", "members", "candidates", "weights", "padding", "MB", "seconds", "graph")


@dataclass(frozen=True)
class Group:
    """Fits that train together.

    Attributes
    ----------
    fits : tuple of (candidate, split)
        The positions of the candidate and of the split of each fit.
    graph : str
        The layers of the deepest, with the widths of the widest, and how many Dense layers members have.
    batch_size : int
        The number of rows of a step.
    n_weights : int
        The number of weights of each member, which is computed as deep and wide as the deepest and widest.
    padding : float in [0, 1)
        The share of the members' arithmetic that is spent on the units and layers that they lack.
    n_bytes : int
        The memory that data and members need, roughly.
    seconds : float
        The seconds of one core, to compile (unless an earlier group has) and to train without early stopping,
        estimated by `Plan.costs`.
    compile_seconds : float
        Those of `seconds` that pass before the training.
    room : kerashp.training.Room
        The room of its program: groups of one kind and one room share a program.
    kind : str
        A digest of what groups must have in common to train by one program, besides their room. (If different
        numbers are zero in them, such as rates of dropout, there are two programs nevertheless.)
    n_cores : int
        On how many cores its members train at a time; in the room of an earlier group, one for each block.
    one_by_one : str or None
        Why each call trains one member, with as many calls at a time as cores; None: a call trains many.
    stackable : bool
        Whether a call could train many members, if more slowly.
    traits : dict from str to str
        What its fits have in common, in words.

    Examples
    --------
    >>> from kerashp.model_selection import Group
    >>> from kerashp.training import Room
    >>> room = Room((2,), (4, 1), (False, False))
    >>> group = Group(((0, 0), (0, 1)), "Dense 4, Dense 1", 32, 41, 0.0, 2**20, 1.5, 1.0, room, "one")
    >>> len(group.fits), group.n_candidates
    (2, 1)
    """

    fits: tuple[FitId, ...]
    graph: str
    batch_size: int
    n_weights: int
    padding: float
    n_bytes: int
    seconds: float
    compile_seconds: float
    room: Room = field(repr=False)
    kind: str = field(repr=False)
    n_cores: int = 1
    one_by_one: str | None = None
    stackable: bool = True
    traits: Traits = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_candidates(self) -> int:
        return len({candidate for candidate, _ in self.fits})

    @property
    def wall_seconds(self) -> float:
        """The seconds that pass while its blocks train on their cores."""
        n_blocks = self.room.n_blocks(len(self.fits))
        return self.compile_seconds + (self.seconds - self.compile_seconds) / min(n_cores(), n_blocks)

    def on(self, n_cores: int) -> "Group":
        """The group on so many cores, in a room of its own.

        Parameters
        ----------
        n_cores : int
            On how many cores its members train at a time.

        Returns
        -------
        Group
            A copy.
        """
        size = block_size(len(self.fits), n_cores, self.one_by_one)
        return replace(self, n_cores=n_cores, room=replace(self.room, n_members=size))


@dataclass(frozen=True)
class Alone:
    """A fit that trains separately, and the reason.

    Attributes
    ----------
    fit : (candidate, split)
        The positions of the candidate and of the split.
    reason : str
        Why it is not stacked.

    Examples
    --------
    >>> from kerashp.model_selection import Alone
    >>> Alone((0, 2), "a callback uses every batch").reason
    'a callback uses every batch'
    """

    fit: FitId
    reason: str


@dataclass(frozen=True)
class Plan(Result):
    """How the fits of a search train.

    Attributes
    ----------
    groups : tuple of Group
        In the order in which they begin, in each round of a search: the longest first, or, where the search
        has a timeout, those that finish most candidates a second.
    alone : tuple of Alone
        The fits that are not stacked.
    costs : kerashp.training.Costs or None
        The measured costs by which padding was weighed against compiles; None where nothing was stacked.

    Examples
    --------
    >>> from kerashp.model_selection import Alone, Plan
    >>> plan = Plan((), (Alone((0, 0), "a callback uses every batch"),), None)
    >>> print(str(plan).splitlines()[-1])
    not stacked, since a callback uses every batch: candidate/split 0/0
    """

    groups: tuple[Group, ...]
    alone: tuple[Alone, ...]
    costs: Costs | None = field(repr=False)

    def joined(self, later: "Plan") -> "Plan":
        """This plan and a later one.

        Parameters
        ----------
        later : Plan
            The plan of a later round.

        Returns
        -------
        Plan
            The groups of both.
        """
        return Plan(self.groups + later.groups, self.alone + later.alone, self.costs or later.costs)

    def divided(self, groups: Sequence[tuple[Group, str]]) -> "Plan":
        """The plan with the fits of some groups alone, each for its reason.

        Parameters
        ----------
        groups : sequence of (Group, str)
            Groups that do not train together, and why.

        Returns
        -------
        Plan
            Without these groups.
        """
        divided = {group.fits for group, _ in groups}
        alone = [Alone(fit, reason) for group, reason in groups for fit in group.fits]
        return Plan(
            tuple(group for group in self.groups if group.fits not in divided),
            (*self.alone, *alone),
            self.costs,
        )

    def _one_by_one(self) -> dict[str, str]:
        """The numbers of the groups whose members train one by one, by reason."""
        numbers: dict[str, list[str]] = {}
        for number, group in enumerate(self.groups):
            if group.one_by_one is not None:
                numbers.setdefault(group.one_by_one, []).append(str(number))
        return {reason: ", ".join(texts) for reason, texts in numbers.items()}

    def __str__(self) -> str:
        lines = [_LINE.format(*cells) for cells in (_HEAD, *self._rows())]
        return "\n".join([*lines, *self._sentences()])

    def _parts(self) -> Sequence[str | Table]:
        """What a notebook shows."""
        return [Table(_HEAD, list(self._rows())), *self._sentences()]

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for number, group in enumerate(self.groups):
            counts = (number, len(group.fits), group.n_candidates, group.n_weights)
            size, share = f"{group.n_bytes / 2**20:.1f}", f"{group.padding:.0%}"
            yield (*map(str, counts), share, size, f"{group.seconds:.1f}", group.graph)

    def _sentences(self) -> Iterator[str]:
        for reason, numbers in self._one_by_one().items():
            yield f"trained one by one, in compiled calls, since {reason}: group {numbers}"
        yield from self._separations()
        reasons: dict[str, list[FitId]] = {}
        for entry in self.alone:
            reasons.setdefault(entry.reason, []).append(entry.fit)
        for reason, fits in reasons.items():
            some = ", ".join(f"{candidate}/{split}" for candidate, split in fits[:5])
            more = f" and {len(fits) - 5} more" if len(fits) > 5 else ""
            yield f"not stacked, since {reason}: candidate/split {some}{more}"

    def _separations(self) -> Iterator[str]:
        """For each group, how it differs from the group that it has most in common with."""
        for number, group in enumerate(self.groups):
            comparisons = [
                (differences(group.traits, other.traits), other_number)
                for other_number, other in enumerate(self.groups)
                if other_number != number
            ]
            if comparisons:
                words, nearest = min(comparisons, key=lambda other: len(other[0]))
                yield f"group {number} differs from group {nearest}: {in_words(words)}"
