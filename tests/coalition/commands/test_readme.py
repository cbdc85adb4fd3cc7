"""Every command that the README and the operations guide show exists, with the options shown."""

import re
import shlex
from pathlib import Path

import click
import pytest

from coalition.cli import main

ROOT = Path(__file__).parents[3]
GUIDES = ("README.md", "docs/operations.md")
# In a fenced block a line may begin with it, or follow `$(`; in the text it stands in backticks.
_FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"(?:^|\$\()((?:coalition|make) [^)#\n]*)", re.MULTILINE)
_INLINE = re.compile(r"`((?:coalition|make) [^`]*)`")


def _shown() -> list[tuple[str, str]]:
    found = []
    for guide in GUIDES:
        text = (ROOT / guide).read_text()
        blocks = "".join(_FENCED.findall(text))
        commands = _SHOWN.findall(blocks) + _INLINE.findall(_FENCED.sub("", text))
        found += [(guide, command.strip()) for command in commands]
    return sorted(set(found))


SHOWN = _shown()


def _lacks(words: list[str]) -> str | None:
    """What of a line after `coalition` there is not; None where all of it exists."""
    command: click.Command = main
    while isinstance(command, click.Group):
        if not words:
            return None
        name, *words = words
        if name not in command.commands:
            return f"the command {name}"
        command = command.commands[name]
    options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    missing = [word for word in words if word.startswith("--") and word not in options]
    if missing:
        return f"the option {missing[0]}"
    try:
        parsed = command.make_parser(click.Context(command)).parse_args(list(words))
    except click.UsageError as error:
        return error.format_message()
    if parsed[1]:
        return f"a place for {parsed[1][0]} among {len(arguments)} arguments"
    return None


@pytest.mark.parametrize(("guide", "command"), SHOWN, ids=lambda words: words)
def test_a_command_that_a_guide_shows_exists(guide: str, command: str) -> None:
    program, *words = shlex.split(command)
    if program == "coalition":
        assert _lacks(words) is None, f"{guide} shows `{command}`, but there is no {_lacks(words)}"
        return
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert words[0] in targets, f"{guide} shows `{command}`, but Makefile has no such target"


def test_the_guides_show_the_commands_that_matter() -> None:
    shown = {command.split(" --")[0].split(" -")[0] for _, command in SHOWN}
    assert {"make demo", "make test", "coalition verify", "coalition migrate"} <= shown
