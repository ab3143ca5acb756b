"""The manual pages and completions that packages carry: every command and every key is in them, and the formatters have no complaint."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from daemon import BINARY, CHECKOUT

PAGE = CHECKOUT / "Docs/man/tracefwd.8"


def output(*words: str) -> str:
    """What the binary prints."""
    return subprocess.run([str(BINARY), *words], check=True, capture_output=True, text=True, timeout=30).stdout


def commands(*parents: str) -> list[str]:
    """All commands as --help lists them, those below others too."""
    found: list[str] = []
    text = output(*parents, "--help").partition("SUBCOMMANDS:")[2]
    for name in re.findall(r"^  ([a-z][a-z-]*)(?: |$)", text, re.MULTILINE):
        if name != "help":
            found += commands(*parents, name) or [" ".join([*parents, name])]
    return found


def keys(schema: dict[str, Any]) -> set[str]:
    """The names of all keys in the JSON schema."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value.get("properties", {}))
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(schema)
    return found


def test_every_command_is_in_its_page() -> None:
    """As `.It Cm name`."""
    there = commands()
    assert len(there) > 15, there
    page = PAGE.read_text()
    for name in there:
        assert re.search(rf"(?:^\.It| ,) Cm {name}\b", page, re.MULTILINE), f"{PAGE.name} does not say what `tracefwd {name}` does"


def test_every_key_is_in_its_page() -> None:
    """The page and the schema come from one table. A section at the top is a heading; `file` and `credential` are forms of a secret."""
    page = output("schema", "--man").replace("\\-", "-")
    there = keys(json.loads(output("schema"))) - {"file", "credential"}
    assert len(there) > 40, there
    for name in there:
        assert re.search(rf"\\fB(?:[a-z_]+\.)*{name}\\fR|^\.SH {name.upper()}$", page, re.MULTILINE), f"tracefwd.yaml(5) lacks {name}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_command(shell: str) -> None:
    """As the package installs them."""
    script = output("--generate-completion-script", shell)
    for name in commands():
        assert name.split()[-1] in script, f"{shell} does not complete {name}"


def test_the_formatters_have_no_complaint(tmp_path: Path) -> None:
    """mandoc and groff, whichever is here."""
    generated = tmp_path / "tracefwd.yaml.5"
    generated.write_text(output("schema", "--man"))
    tools = [["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-man", "-ww", "-z"], ["groff", "-mdoc", "-ww", "-z"]]
    here = [tool for tool in tools if shutil.which(tool[0])]
    if not here:
        pytest.skip("neither mandoc nor groff is here")
    for tool in here:
        for page in (PAGE, generated):
            if tool[1:2] != ["-T"] and (tool[1] == "-mdoc") != (page == PAGE):
                continue
            result = subprocess.run([*tool, str(page)], capture_output=True, text=True, timeout=30)
            rows = (result.stdout + result.stderr).splitlines()
            # The generated page has no date: the same table gives the same bytes.
            complaints = [row for row in rows if "outdated mandoc.db" not in row and "missing date" not in row]
            assert not complaints, complaints
