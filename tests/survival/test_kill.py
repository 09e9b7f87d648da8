"""Workers are killed at random moments; others go on where they stopped, and nothing happens twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.survival.killing import survive

SEED = random.randrange(1 << 30)


def survived(place: str, log: Path, kills: int) -> None:
    """Nothing of what must not happen has happened."""
    damage = survive(place, log, kills, SEED)
    assert not damage.again, f"seed {SEED}: these had finished, and were run again"
    assert not damage.repeated, f"seed {SEED}: these were paid more often than people said"
    assert not damage.lost, f"seed {SEED}: results were lost that somebody had seen"
    assert not damage.wrong, f"seed {SEED}: these are not done, or not right"
    assert damage.runs >= 5, "the workers were killed too early for anything to be seen"


def test_workers_on_sqlite_may_be_killed(tmp_path: Path) -> None:
    survived(str(tmp_path / "runs.sqlite"), tmp_path / "log", 20)


def test_workers_on_postgres_may_be_killed(tmp_path: Path, postgres_server: str, postgres_schema: str) -> None:
    survived(f"{postgres_schema}@{postgres_server}", tmp_path / "log", 20)


@pytest.mark.long
def test_workers_on_sqlite_may_be_killed_often(tmp_path: Path) -> None:
    survived(str(tmp_path / "runs.sqlite"), tmp_path / "log", 200)


@pytest.mark.long
def test_workers_on_postgres_may_be_killed_often(tmp_path: Path, postgres_server: str, postgres_schema: str) -> None:
    survived(f"{postgres_schema}@{postgres_server}", tmp_path / "log", 200)
