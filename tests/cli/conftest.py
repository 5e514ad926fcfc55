"""The command line as the tests call it."""

import sys

import pytest

from course_lib import cli


@pytest.fixture
def course(monkeypatch, capsys, tmp_path):
    """Run `course …` in an empty folder: (exit code, what it printed, what it complained)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["course", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        printed = capsys.readouterr()
        return exit.value.code or 0, printed.out, printed.err

    return run
