"""Names of domains that are asked about: a slip of the pen is not taken for a new domain."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def fault_of_name(name: object, known: Iterable[str] = ()) -> str | None:
    """What is wrong with the name of a domain; None where nothing is.

    A name that is not among ``known`` is a new domain, but one that looks like a known name was hardly meant to be.

    Examples:
        >>> from bayescpt.data.names import fault_of_name
        >>> fault_of_name("law", ["cpp"])
        >>> fault_of_name("CPP", ["cpp"])
        "expected a name of the table or a new one, got 'CPP', which looks like 'cpp': write 'cpp'"
    """
    known = tuple(known)
    if not (isinstance(name, str) and name.strip()):
        return f"expected a name, got {name!r}"
    if name in known:
        return None
    bare = name.strip()
    near = next((one for one in known if alike(one) == alike(bare)), None)
    if name != bare:
        return f"expected a name without space around it, got {name!r}: write {bare if near is None else near!r}"
    if near is not None:
        return f"expected a name of the table or a new one, got {name!r}, which looks like {near!r}: write {near!r}"
    return None


def alike(name: str) -> str:
    """What names that look the same have in common: no matter their case, space around and between, and coding."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
