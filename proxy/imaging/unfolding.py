"""How many elements of an SVG are drawn once its references are followed.

The attack is the billion laughs without entities: ten shapes filled with a pattern of ten shapes that are filled with a
pattern … A few hundred bytes a level, ten times the work each. The count is made before anything is drawn, from the
document alone; a reference that leads back to where it stands is not followed, which is what renderers do, too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from lxml import etree

MOST_DRAWN = 50_000
"""About a second of drawing. A document of half a megabyte has at most 20,000 elements of its own."""
_DEEPEST = 400
"""References and groups within one another. An honest drawing has a dozen, and Python's stack has an end."""

_DEFINITIONS = frozenset(
    "defs symbol pattern marker mask clipPath filter linearGradient radialGradient style title desc".split()  # noqa: SIM905
)
"""What is drawn only where something refers to it."""
_HREF = ("href", "{http://www.w3.org/1999/xlink}href")
_URL = re.compile(r"""url\(['"\s]*#([^'")\s]+)""")
_SIMPLE_SELECTOR = re.compile(r"([.#]?)([A-Za-z_][\w-]*)")


def unfolded(root: etree._Element) -> int:
    """The number of elements drawn, each as often as it is; `MOST_DRAWN` + 1 stands for all that is more."""
    return _Counter(root).count()


class _Counter:
    """Counts one document, each element's unfolding once."""

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self._named = {str(one.get("id")): one for one in root.iter("*") if one.get("id")}
        self._styled = _styled(root)
        self._known: dict[etree._Element, int] = {}
        # Mutable state: what is being counted, outermost first.
        self._open: set[etree._Element] = set()

    def count(self) -> int:
        return self._drawn(self._root)

    def _drawn(self, element: etree._Element) -> int:
        """The element, what is in it, and what these refer to."""
        known = self._known.get(element)
        if known is not None:
            return known
        if element in self._open:
            return 0
        if len(self._open) >= _DEEPEST:
            return MOST_DRAWN + 1
        self._open.add(element)
        total = 1
        for part in self._parts(element):
            total += self._drawn(part)
            if total > MOST_DRAWN:
                total = MOST_DRAWN + 1
                break
        self._open.discard(element)
        self._known[element] = total
        return total

    def _parts(self, element: etree._Element) -> Iterator[etree._Element]:
        for child in element.iterchildren("*"):
            if etree.QName(child).localname not in _DEFINITIONS:
                yield child
        for name in self._references(element):
            if (target := self._named.get(name)) is not None:
                yield target

    def _references(self, element: etree._Element) -> Iterator[str]:
        for key, value in element.attrib.items():
            text = str(value)
            if key in _HREF and text.strip().startswith("#"):
                yield text.strip()[1:]
            elif "url(" in text:
                yield from _URL.findall(text)
        tag = etree.QName(element).localname
        names = [f".{name}" for name in str(element.get("class", "")).split()]
        for selector in ("*", tag, f"#{element.get('id')}", *names):
            yield from self._styled.get(selector, ())


def _styled(root: etree._Element) -> dict[str, list[str]]:
    """What style sheets refer to, by the last simple selectors of their rules; `*` where there is none."""
    found: dict[str, list[str]] = defaultdict(list)
    for style in root.iter("{*}style"):
        for rule in (style.text or "").split("}"):
            selectors, _, body = rule.rpartition("{")
            if not (names := _URL.findall(body)):
                continue
            for selector in selectors.split(","):
                last = (selector.split() or ["*"])[-1]
                simple = _SIMPLE_SELECTOR.findall(last)
                for key in ["".join(one) for one in simple] or ["*"]:
                    found[key] += names
    return found
