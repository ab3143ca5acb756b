"""Docs/rules.md: each example is a configuration whose tests pass, or whose mistakes are the ones that the page shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from daemon import BINARY, CHECKOUT

PAGE = CHECKOUT / "Docs/rules.md"
MAIN = "spool: {{ path: {folder}/spool.db }}\ndestinations:\n  langfuse: {{ type: file, path: {folder}/langfuse }}\n  archive: {{ type: file, path: {folder}/archive }}\n"


def examples() -> list[tuple[str, str, str | None]]:
    """Each block of YAML with a name, and what `check` says of it where the page shows that."""
    text = PAGE.read_text()
    found = []
    for match in re.finditer(r"^```yaml\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", text, re.MULTILINE | re.DOTALL):
        line = text[: match.start()].count("\n") + 2
        found.append((f"line {line}", match[1], match[2]))
    return found


def check(folder: Path, yaml: str) -> subprocess.CompletedProcess[str]:
    """Runs `tracefwd check` on an example as the page says it lies there."""
    (folder / "tracefwd.yaml").write_text(MAIN.format(folder=folder))
    (folder / "conf.d").mkdir()
    (folder / "conf.d/rules.yaml").write_text(yaml)
    return subprocess.run(
        [BINARY, "check", "--config", folder / "tracefwd.yaml"], capture_output=True, text=True, timeout=60
    )


def test_the_page_has_its_examples() -> None:
    """And each that shows no mistakes has tests."""
    good = [yaml for _, yaml, says in examples() if says is None]
    assert len(good) == 21
    assert all("tests:" in yaml for yaml in good)


@pytest.mark.parametrize(("place", "yaml", "says"), examples(), ids=[place for place, _, _ in examples()])
def test_example(folder: Path, place: str, yaml: str, says: str | None) -> None:
    """Its tests pass, and nothing is said but of destinations that it does not use, and of the key that only a daemon makes; or it says what the page shows."""
    result = check(folder, yaml)
    said = result.stderr.replace(str(folder), "/etc/tracefwd")
    if says is None:
        assert result.returncode == 0, f"{place}:\n{said}"
        assert re.search(r"; \d+ tests? pass", result.stdout), f"{place}:\n{result.stdout}"
        assert all("no route names it" in line or "hashes are zeros here" in line for line in said.splitlines()), f"{place}:\n{said}"
    else:
        assert said == says, f"{place}:\n{said}"
