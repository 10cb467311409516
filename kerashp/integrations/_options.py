"""What loggers of searches have in common: options that are kept, and a state that is not."""

from typing import Any, TypeVar

_State = TypeVar("_State")


class LoggerOptions:
    """Options are the attributes without an underscore; pickles and copies have nothing else.

    What a subclass keeps from `begin` to `end` are attributes with one, whose values before `begin` are
    attributes of the class.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.__getstate__().items())
        return f"{type(self).__name__}({options})"

    def _begun(self, state: _State | None, method: str) -> _State:
        """What `begin` has set.

        Raises
        ------
        RuntimeError
            If a method was called before it.
        """
        if state is None:
            raise RuntimeError(
                f"{type(self).__name__}.{method} was called before begin, which names the search"
            )
        return state
