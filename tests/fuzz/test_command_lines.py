"""Commands with arguments from a pool of good and bad ones: each ends well, or with one line that says why."""

import re
import signal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_lib import metrics
from course_lib.experiments import recording
from course_lib.paths import CHECKPOINTS

FUZZ = settings(
    derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

RUN = "RUN"  # stands for the folder of a finished run
NUMBERS = ["0", "-1", "2.5", "", "ten", "nan", "inf", "1e30", "1e400", "9" * 30, "9" * 400, "9" * 5000, "--"]
JUNK = [
    "extra",
    "--colour",
    "--colour=red",
    "-x",
    "--",
    "-",
    "",
    "=",
    "--=",
    "--steps=",
    "-n",
    "--out",
    "\n",
    "\udcff",
    "-h",
]
LONG, SHIPPED = "x" * 300, str(CHECKPOINTS / "ddpm-digits")

# for each option, what it takes, and what it does not; None stands for a flag
DEVICE = ("device", ["cpu", "auto"], ["tpu", "", "cuda:99", "CPU", "\0"])
SEED = ("seed", ["0", "3", "٣", str(2**63 - 1)], [*NUMBERS[1:], str(2**63)])
OWN = [
    ("steps", ["1", "3"], NUMBERS), ("guidance", ["1", "-2.5", "0", "1e30"], NUMBERS), ("eta", ["0.5"], NUMBERS),
    ("temperature", ["0.5", "0"], NUMBERS), ("sampler", ["ddim"], ["magic", "", "a=b"]),
]  # fmt: skip
TRAIN = [
    ("steps", ["1", "2", "20"], NUMBERS), SEED, DEVICE, ("resume", None, []), ("compile", None, []),
    ("out", ["new", "a b", "deep/er", ".", "~", "ü"], ["", "file", "file/x", LONG, "\0", SHIPPED, f"{SHIPPED}/x", RUN]),
]  # fmt: skip
SAMPLE = [
    ("n", ["1", "2", "20"], [*NUMBERS, str(10**9)]), SEED, DEVICE, ("label", ["3"], ["ten", "", "-1"]), *OWN,
    ("out", ["a.png", "ü b.PNG"], ["", ".png", "folder.png", "file", "no/a.png", f"{LONG}.png", "\0.png", "a.jpg"]),
]  # fmt: skip
EVALUATE = [
    ("n", ["500", "501"], [*NUMBERS, "499", str(10**9)]), ("seeds", ["1", "2"], [*NUMBERS, "101"]), DEVICE, *OWN,
    ("save", None, []),
]  # fmt: skip
RECIPES = ["small-vae", "small-gan", "small-latents", "small-gaussian"]
NO_RECIPES = ["../x", "", "nonsense", "small-vae/", "\0", "-", "--", RUN, "ddpm-digit"]
MODELS = ["small-vae", RUN, "small-latents", "small-gaussian"]
NO_MODELS = ["features-digits", "file", "folder.png", "", ".", "..", "nowhere", "\0", LONG, "-5"]


@st.composite
def arguments(draw, command, names, no_names, options):
    """The command, a name, and some of its options: most of them as they should be."""
    bad = st.sampled_from([True, *[False] * 5])
    words = [draw(st.sampled_from(no_names if draw(bad) else names))]
    for option, good, wrong in draw(st.lists(st.sampled_from(options), max_size=3, unique_by=lambda option: option[0])):
        flag = "-n" if option == "n" else f"--{option}"
        value = None if good is None else draw(st.sampled_from(wrong if draw(bad) else good))
        joined = option != "n" and draw(st.booleans())
        words += [flag] if value is None else [f"{flag}={value}"] if joined else [flag, value]
    if draw(bad):
        words += draw(st.sampled_from([[word] for word in JUNK] + [words[1:]]))
    return [command, *words]


OTHERS = st.tuples(
    st.sampled_from(["recipes", "record", "scoreboard", "nonsense", "", "-h", "--version"]),
    st.lists(st.sampled_from([*MODELS, *NO_MODELS, *JUNK, "samplers-digits"]), max_size=2),
).map(lambda both: [both[0], *both[1]])


@pytest.fixture
def place(runs, tmp_path_factory, monkeypatch):
    """A function that stands in a new folder, with a file and a folder in the way; measurements take no time."""
    results = tmp_path_factory.mktemp("results")
    monkeypatch.setattr(recording, "RESULTS", results)
    monkeypatch.setattr(recording, "measurement", lambda name: lambda: {"found": name})
    monkeypatch.setattr(metrics, "measure", lambda *_, **__: {"suspicious": []})
    monkeypatch.setattr(
        metrics, "measure_reference", lambda *_: {"accuracy": 1.0, "reference": {"fd": 1.0, "spread": 0.1}}
    )
    monkeypatch.setattr(metrics, "table", str)
    monkeypatch.delenv("COLUMNS", raising=False)

    def stand():
        folder = tmp_path_factory.mktemp("here")
        (folder / "file").write_text("in the way", encoding="utf-8")
        (folder / "folder.png").mkdir()
        monkeypatch.chdir(folder)
        return folder

    before = signal.getsignal(signal.SIGTERM)
    yield stand
    signal.signal(signal.SIGTERM, before)


def shipped():
    return {path: path.stat().st_mtime_ns for path in CHECKPOINTS.rglob("*")}


TRIED = {}


def ends_well(course, runs, *arguments):
    """Call it; the exit code is one of four, and beside progress at most one line is complained."""
    code, out, err = course(*(word.replace(RUN, str(runs / "small-vae")) for word in arguments))
    said = [
        line
        for line in re.split("[\r\n]+", err)
        if line.strip() and not re.search(r"\d+%\||\d+(step|block|part)", line)
    ]
    assert code in (0, 1, 2, 130), (arguments, code)
    assert len(said) <= 1 and "Traceback" not in out + err, (arguments, err)
    assert bool(said) == (code != 0) and all(line.startswith("course: ") for line in said), (arguments, code, err)
    TRIED[code] = TRIED.get(code, 0) + 1
    return code


@settings(FUZZ, max_examples=150)
@given(words=arguments("train", RECIPES, NO_RECIPES, TRAIN))
def test_train_ends_well(course, runs, place, words):
    place()
    before = shipped()
    ends_well(course, runs, *words)
    assert shipped() == before


@settings(FUZZ, max_examples=250)
@given(words=arguments("sample", MODELS, NO_MODELS, SAMPLE))
def test_sample_ends_well_and_writes_one_picture_or_none(course, runs, place, words):
    folder = place()
    code = ends_well(course, runs, *words)
    pictures = [path for path in folder.glob("*") if path.name not in ("file", "folder.png")]
    assert len(pictures) == (code == 0 and "-h" not in words)


@settings(FUZZ, max_examples=150)
@given(words=arguments("evaluate", MODELS, [name for name in NO_MODELS if name != "features-digits"], EVALUATE))
def test_evaluate_ends_well(course, runs, place, words):
    place()
    ends_well(course, runs, *words)


@settings(FUZZ, max_examples=60)
@given(words=OTHERS)
def test_other_commands_end_well(course, runs, place, words):
    place()
    ends_well(course, runs, *words)


def test_every_way_to_end_was_tried():
    """Of all the commands above some ended well, some were refused, and some were misspelt."""
    if sum(TRIED.values()) < 600:
        pytest.skip("the tests above did not run here")
    assert all(TRIED.get(code, 0) >= 50 for code in (0, 1, 2)), TRIED
