"""Any split as text, to compare what two interpreters made; imports nothing that is slow."""

from __future__ import annotations


def canonical(value: object) -> str:
    """Write a split as text; the order of what is held in a set does not count.

    Examples
    --------
    >>> canonical({"b": {2, 1}}), canonical([1, (2, 3)])
    ("{'b': {'1', '2'}}", "['1', ['2', '3']]")
    """
    return repr(_plain(value))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in sorted(value.items(), key=lambda kv: str(kv[0]))}
    if isinstance(value, set | frozenset):
        return _Ordered(sorted(map(str, value)))
    if hasattr(value, "to_csv"):  # a pandas table
        return str(value.to_csv())
    if hasattr(value, "table"):  # a Cohort
        return str(value.table.to_csv())
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "indices"):  # a torch Subset
        return _plain(value.indices)
    return str(value)


class _Ordered(list[str]):
    """The sorted members of a set, written like one."""

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, self)) + "}"
