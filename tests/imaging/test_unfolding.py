"""SVGs that unfold: counted before anything is drawn."""

from __future__ import annotations

import time

import pytest

from proxy.errors import OriginalTooLarge
from proxy.imaging.svg import clean
from proxy.imaging.unfolding import MOST_DRAWN, unfolded
from tests.corpus import ROOT, require_corpus

etree = pytest.importorskip("lxml.etree", reason="the extra formats is not installed: SVGs were not tried")


def drawing(body: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{body}</svg>'.encode()


def levels(count: int, link: str) -> str:
    """So many levels, each ten times the one below it; `link` makes a shape that refers to `{}`."""
    patterns = (f'<pattern id="l{level}">{link.format(f"l{level - 1}") * 10}</pattern>' for level in range(1, count))
    return f'<defs><g id="l0"><rect/></g>{"".join(patterns)}</defs>{link.format(f"l{count - 1}")}'


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("<rect/><g><circle/><path/></g>", 5),
        ("<defs><rect/><rect/></defs><circle/>", 2),
        ('<defs><g id="a"><rect/><rect/></g></defs><use href="#a"/><use xlink:href="#a"/>', 9),
        ('<pattern id="p"><rect/></pattern><rect fill="url(#p)"/><rect style="fill: url( \'#p\' )"/>', 7),
        (
            ("<style>.a, g > .b { fill: url(#p) } @media print { #c{mask:url(#p)} }</style>"
            '<pattern id="p"><rect/></pattern><rect class="a x"/><rect class="b"/><rect id="c"/><rect/>'),
            11,
        ),
        ('<use href="#nowhere"/>', 2),
        ('<g id="a"><use href="#a"/><rect/></g>', 4),
        ('<pattern id="p" href="#q"/><pattern id="q" href="#p"><rect/></pattern><rect fill="url(#p)"/>', 5),
    ],
)  # fmt: skip
def test_what_is_drawn_is_counted(body: str, count: int) -> None:
    """Groups with what is in them, references as often as they are made, definitions only by those, circles once."""
    assert unfolded(etree.fromstring(drawing(body))) == count


@pytest.mark.parametrize(
    "link",
    [
        '<rect fill="url(#{})"/>',
        '<use href="#{}"/>',
        '<use xlink:href="#{}"/>',
        '<rect style="stroke:url(#{})"/>',
        '<g mask="url(#{})"/>',
        '<path marker-mid="url(#{})"/>',
    ],
)
def test_ten_levels_are_refused_at_once(link: str) -> None:
    """Ten to the tenth shapes in two kilobytes, whatever leads from level to level; four levels are fine."""
    began = time.process_time()
    with pytest.raises(OriginalTooLarge, match="may unfold into"):
        clean(drawing(levels(10, link)))
    assert time.process_time() - began < 1

    assert clean(drawing(levels(4, link))).removed == ()


def test_a_long_chain_is_refused() -> None:
    """References within references beyond any drawing end in a refusal, not in Python's stack."""
    chain = "".join(f'<g id="g{at}"><use href="#g{at + 1}"/></g>' for at in range(2000))

    assert unfolded(etree.fromstring(drawing(f"<defs>{chain}</defs><use href='#g0'/>"))) > MOST_DRAWN


def test_the_known_file() -> None:
    """The billion laughs with patterns, as it was found, took four seconds to draw."""
    require_corpus()

    with pytest.raises(OriginalTooLarge):
        clean((ROOT / "broken" / "bug515-pattern-billion-laughs.svg").read_bytes())
