"""The sizes of cases by arithmetic alone: compiled, computed, never rendered."""

from __future__ import annotations

from proxy.errors import InvalidCommand
from proxy.plan.dialects import parse
from proxy.plan.operations import AutoOrient, Operation, Size, final_size
from proxy.plan.planner import Planner, PresetBook
from proxy.plan.preset_file import read_presets
from proxy.plan.request import AskOriginal
from tests.dialects.cases import Case, load_cases, sides


def sized_cases(dialect: str) -> list[Case]:
    """The cases of a dialect that say a size."""
    return [case for case in load_cases() if case.dialect == dialect and case.size is not None]


def computed_size(case: Case) -> Size:
    """The size that the preferred reading of a case comes to."""
    planner = Planner(PresetBook(read_presets(case.presets)))
    operations = planner.plan(planner.read(case.target)[0]).operations
    stored = Size(*sides(case.source))
    turned = case.orientation >= 5 and operations[:1] == (AutoOrient(),)
    return final_size(operations, stored.turned() if turned else stored)


def check_computed(case: Case) -> None:
    """Hold a case against arithmetic; where turning opens corners, the tolerance counts."""
    assert case.size is not None
    wanted, size = Size(*sides(case.size)), computed_size(case)
    assert abs(size.width - wanted.width) <= case.tolerance
    assert abs(size.height - wanted.height) <= case.tolerance


def fingerprints(*targets: str, presets: str = 'adhoc = "any"\ndialects = "all"') -> set[str]:
    """The fingerprints of the plans that these targets come to."""
    snapshot = read_presets(presets)
    planner = Planner(PresetBook(snapshot))
    readings = [parse(target, snapshot)[0] for target in targets]
    assert not any(isinstance(reading.asked, AskOriginal) for reading in readings)
    return {planner.plan(reading).fingerprint for reading in readings}


def size_or_none(operations: tuple[Operation, ...], picture: Size) -> Size | None:
    """The size that operations come to; None where a crop lies outside of the picture, the one thing to be refused."""
    try:
        return final_size(operations, picture)
    except InvalidCommand as error:
        if "outside of the picture" not in error.message:
            raise
        return None
