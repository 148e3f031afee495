"""`archer verify` finds every kind of damage that it claims to find."""

import json
from collections.abc import Callable

from archive.store import Archive
from archive.verify import problems
from tests.builders import make_record


def found_after(archive: Archive, path: str, change: Callable[[str], str]) -> str:
    file = archive.root / path
    file.write_text(change(file.read_text()))
    return "\n".join(problems(Archive(archive.root)))


def test_sound_archive_has_no_problems(archive: Archive):
    archive.tell(make_record(), "r")
    assert list(problems(archive)) == []


def test_changed_code_is_found(archive: Archive):
    archive.tell(make_record(), "r")
    damage = found_after(archive, "variants/delta_net_4layer_x_in_for_loop.py", lambda text: text + "#")
    assert "is not the code that 0001-" in damage


def test_changed_code_of_a_seed_is_found(archive: Archive):
    assert "ran other code than variants/delta_net_4layer.py" in found_after(
        archive, "variants/delta_net_4layer.py", lambda text: text + "#"
    )


def test_improved_score_is_found(archive: Archive):
    told = archive.tell(make_record(), "r")

    def improve(text: str) -> str:
        result = json.loads(text)
        result["scorecard"]["scores"]["Memorize"]["mean"] = 0.99
        return json.dumps(result)

    path = f"proposals/{told.id}/scorecard.json"
    assert "not what its trials give" in found_after(archive, path, improve)


def test_edited_leaderboard_is_found_and_rebuilt(archive: Archive):
    archive.tell(make_record(), "r")
    damage = found_after(archive, "leaderboards/quick.csv", lambda text: text.replace("0.51", "0.99"))
    assert "verify --rebuild" in damage
    archive.rebuild_leaderboards()
    assert list(problems(archive)) == []


def test_truncated_trial_line_is_named(archive: Archive):
    told = archive.tell(make_record(), "r")
    path = f"proposals/{told.id}/trials.jsonl"
    assert f"{path}, line 18" in found_after(archive, path, lambda text: text[:-30])


def test_missing_file_is_named(archive: Archive):
    told = archive.tell(make_record(), "r")
    (archive.root / "proposals" / told.id / "scorecard.json").unlink()
    assert "scorecard.json is missing" in "\n".join(problems(Archive(archive.root)))
