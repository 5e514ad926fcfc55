"""The forms of an exercise on small examples: several results, sums, calls, gradients, judges, and edits."""

import re

import pytest
import torch

from course_lib.diffusion import NoiseSchedule
from course_lib.exercises import Calls, Exercise, Judge, Loss, Spy, Sum, Value, check, load, normal
from course_lib.exercises.edits import slip
from course_lib.exercises.explain import apart
from course_lib.exercises.gives import as_numbers, close

SHORT = NoiseSchedule.linear(20, 0.02, 0.3)
TIMES = torch.tensor([9, 20, 1, 15, 4])


def guess(x_t, t):
    return 0.6 * x_t + 0.3 * torch.sin(3 * x_t) + 0.1 * torch.sin(torch.as_tensor(t) / 5).reshape(-1, 1, 1, 1)


# ------------------------------------------------------------------------------------------------------------- a loss
def ddpm_loss(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return ((net(x_t, t) - eps) ** 2).mean()


LOSS = Exercise(
    "99.1",
    ddpm_loss,
    cases=[
        {"net": Spy(guess), "x0": normal(s, 5, 1, 5, 5), "t": t, "eps": normal(s + 1, 5, 1, 5, 5), "alpha_bar": SHORT.alpha_bar}
        for s, t in ((1, TIMES), (3, TIMES.flip(0)))
    ],
    gives=[
        Calls("net", Sum("the x_t for net", each=True, x0="√ᾱ_t", eps="√(1 − ᾱ_t)"), Value("the time for net", "t"), joined=True),
        Loss("the loss", "the mean of (net(x_t, t) − eps)²"),
    ],
    slips={
        "net is given x_0 itself": "net(x_t, t) -> net(x0, t)",
        "divided by T? These nets take whole times": "net(x_t, t) -> net(x_t, t / 20)",
        "the sum, not the mean": "A.mean() -> A.sum()",
    },
    hints=["three lines"],
)  # fmt: skip


def in_halves(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None, None, None]
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    eps_hat = torch.cat([net(x_t[:2], t[:2]), net(x_t[2:], t[2:])])
    return torch.nn.functional.mse_loss(eps_hat, eps)


def image_by_image(net, x0, t, eps, alpha_bar):
    total = 0
    for x, s, e in zip(x0, t, eps, strict=True):
        x_t = alpha_bar[s].sqrt() * x + (1 - alpha_bar[s]).sqrt() * e
        total = total + ((net(x=x_t[None], t=s[None]) - e) ** 2).mean()
    return total / len(x0)


@pytest.mark.parametrize(
    "answer", [in_halves, image_by_image, lambda n, x, t, e, a: ddpm_loss(n, x.float(), t, e.float(), a)]
)
def test_net_may_be_asked_in_parts_by_name_and_in_float32(answer):
    assert LOSS.examine(answer).right, LOSS.examine(answer).message


def half_frozen(net, x0, t, eps, alpha_bar):
    learned = ddpm_loss(net, x0[:2], t[:2], eps[:2], alpha_bar)
    return 0.4 * learned + 0.6 * ddpm_loss(torch.no_grad()(net), x0[2:], t[2:], eps[2:], alpha_bar)


@pytest.mark.parametrize(
    "cut",
    [
        lambda *a: ddpm_loss(*a).item(),
        lambda *a: ddpm_loss(*a).detach(),
        torch.no_grad()(lambda *a: ddpm_loss(*a)),
        lambda net, *a: ddpm_loss(lambda x, t: net(x, t).detach(), *a),
        lambda net, *a: ddpm_loss(torch.no_grad()(net), *a),
        lambda net, *a: ddpm_loss(torch.inference_mode()(net), *a),
        half_frozen,
        lambda *a: ddpm_loss(*a).detach().numpy(),
        lambda *a: ddpm_loss(*a).detach().requires_grad_(),
    ],
)
def test_a_loss_without_a_gradient_is_wrong_and_the_message_says_so(cut):
    verdict = LOSS.examine(cut)
    assert not verdict.right and "gradient" in verdict.message


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (slip(ddpm_loss, "A.reshape(-1, 1, 1, 1) -> A"), "axis|reshape"),
        (slip(ddpm_loss, "net(x_t, t) -> net(x_t, t - 1)"), "t is one too small"),
        (slip(ddpm_loss, "a.sqrt() -> a"), "square root"),
        (slip(ddpm_loss, "A ** 2 -> abs(A)"), "the size of"),
        (lambda n, x, t, e, a: ddpm_loss(n, x, t, e, a) + n(x, t).mean(), r"\(10, 1, 5, 5\)"),
        (lambda n, x, t, e, a: ((n(x, t) - e) ** 2).mean(), "x_0 itself"),
        (lambda n, x, t, e, a: ((x - e) ** 2).mean(), "called 0 times and should be called once"),
        (lambda n, x, t, e, a: ((n(x) - e) ** 2).mean(), "called with 1 argument"),
    ],
)
def test_a_wrong_loss_is_told_what_is_wrong(answer, says):
    verdict = LOSS.examine(answer)
    assert not verdict.right and re.search(says, verdict.message), verdict.message


# --------------------------------------------------------------------------------------------- a function asked twice
def heun_step(eps_model, x, t, s, alpha_bar):
    def ddim(eps):
        x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
        return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps

    eps = eps_model(x, t)
    guess = ddim(eps)
    return ddim((eps + eps_model(guess, s)) / 2) if s > 0 else guess


def moved(x, eps, t, s, alpha_bar):
    x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps


HEUN = Exercise(
    "99.2",
    heun_step,
    cases=[
        {"eps_model": Spy(lambda x, t: x.sin() + 0.1 * t), "x": normal(6, 11), "t": t, "s": s, "alpha_bar": SHORT.alpha_bar}
        for t, s in ((17, 9), (9, 1), (5, 0))
    ],
    gives=[Calls("eps_model", Value("the x for the model"), Value("the time for the model")), Value("x_s")],
    slips={
        "the model is asked twice at the same time": "eps_model(guess, s) -> eps_model(guess, t)",
        "the second eps alone": "(eps + A) / 2 -> A",
    },
    hints=["twice"],
)  # fmt: skip


def test_calls_are_compared_one_by_one_and_their_number_too():
    assert HEUN.examine(heun_step).right
    assert "call 2" in HEUN.examine(slip(heun_step, "eps_model(guess, s) -> eps_model(x, s)")).message
    assert "called 2 times and should be called once" in HEUN.examine(slip(heun_step, "s > 0 -> s > -1")).message
    assert "called once and should be called 2 times" in HEUN.examine(slip(heun_step, "s > 0 -> s > 1")).message
    for sentence, answer in HEUN.wrong().items():
        assert sentence in HEUN.examine(answer).message


def test_asking_the_same_again_is_no_mistake_and_asking_something_else_is():
    def asks_again(eps_model, x, t, s, alpha_bar):
        guess = moved(x, eps_model(x, t), t, s, alpha_bar)
        return moved(x, (eps_model(x, t) + eps_model(guess, s)) / 2, t, s, alpha_bar) if s > 0 else guess

    def corrects_twice(eps_model, x, t, s, alpha_bar):
        eps = eps_model(x, t)
        guess = moved(x, eps, t, s, alpha_bar)
        for _ in range(2 if s > 0 else 0):
            guess = moved(x, (eps + eps_model(guess, s)) / 2, t, s, alpha_bar)
        return guess

    assert HEUN.examine(asks_again).right
    assert "called 3 times and should be called 2 times" in HEUN.examine(corrects_twice).message


# ---------------------------------------------------------------------------------------------------- several results
def posterior(x_t, x0, t, beta, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    mu_tilde = ((1 - beta[t]).sqrt() * (1 - before) * x_t + before.sqrt() * beta[t] * x0) / (1 - now)
    beta_tilde = beta[t] * (1 - before) / (1 - now)
    return mu_tilde, beta_tilde


POSTERIOR = Exercise(
    "99.3",
    posterior,
    cases=[
        {"x_t": normal(4, 3, 29), "x0": normal(5, 3, 29), "t": t, "beta": SHORT.beta, "alpha_bar": SHORT.alpha_bar}
        for t in (6, 14, 2, 1)
    ],
    gives=[Sum("mu_tilde", x_t="…", x0="…"), Value("beta_tilde", "…")],
    slips={"precisions add, not variances": "beta_tilde = A -> beta_tilde = beta[t] / (1 - beta[t]) + 1 - before"},
    hints=["multiply"],
)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ("before.sqrt() -> before", "the factor of x0 in mu_tilde"),
        ("beta_tilde = A -> beta_tilde = beta[t]", "beta_tilde is"),
        ("(mu_tilde, beta_tilde) -> mu_tilde", "returns"),
        ("(mu_tilde, beta_tilde) -> (beta_tilde, mu_tilde)", "other order"),
        ("(mu_tilde, beta_tilde) -> (mu_tilde, beta_tilde.sqrt())", "root"),
        ("beta[t] * (1 - before) / (1 - now) -> beta[t] * (1 - now) / (1 - before)", "upside down"),
    ],
)
def test_results_and_terms_are_told_apart(edit, says):
    verdict = POSTERIOR.examine(slip(posterior, edit))
    assert not verdict.right and says in verdict.message, verdict.message


def test_a_number_may_be_repeated_in_the_shape_of_the_images():
    assert POSTERIOR.examine(lambda *a: (posterior(*a)[0], posterior(*a)[1].expand(3, 1))).right
    assert POSTERIOR.examine(lambda *a: list(posterior(*a))).right


def test_a_tensor_may_be_handed_in_as_a_list_of_its_rows():
    assert POSTERIOR.examine(lambda *a: (list(posterior(*a)[0]), posterior(*a)[1])).right
    assert "mu_tilde" in POSTERIOR.examine(lambda *a: (list(posterior(*a)[0] + 1), posterior(*a)[1])).message


def test_a_factor_that_should_be_nothing_is_shown_as_0():
    message = POSTERIOR.examine(lambda x_t, x0, *rest: (posterior(x_t, x0, *rest)[0] + (rest[0] == 1) * x_t, posterior(x_t, x0, *rest)[1])).message  # fmt: skip
    assert "the factor of x_t in mu_tilde is 1 and should be 0" in message


# ------------------------------------------------------------------------------------------------- gradient, argument
def through(x, w):
    return (w * x).sin()


def test_a_gradient_with_respect_to_an_argument_is_compared():
    exercise = Exercise("99.4", through, cases=[{"x": normal(1, 7), "w": normal(2, 7)}], gives=[Value("y", gradient="w")], slips={}, hints=["-"])  # fmt: skip
    assert exercise.examine(through).right
    assert "no gradient" in exercise.examine(lambda x, w: (w.detach() * x).sin()).message

    def stopped(x, w):
        return (w * x).sin() + (w - w.detach())

    assert "the gradient of y with respect to w" in exercise.examine(stopped).message


# -------------------------------------------------------------------------------------------------------------- judge
def keeps_variance(candidate):
    x = candidate(normal(1, 20_000), 9, normal(2, 20_000), SHORT.alpha_bar)
    return bool((x.var() - 1).abs() < 0.05)


def q_sample(x0, t, eps, alpha_bar):
    return alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps


JUDGE = Judge(
    "99.5",
    keeps_variance,
    right=[q_sample],
    wrong={
        "noise at full strength": slip(q_sample, "(1 - alpha_bar[t]).sqrt() * eps -> eps"),
        "no root": slip(q_sample, "alpha_bar[t].sqrt() -> alpha_bar[t]"),
    },
    hints=["variance"],
)


def asserts(candidate):
    assert keeps_variance(candidate)
    return True


def test_a_student_s_check_must_accept_what_is_right_and_refuse_what_is_wrong():
    assert JUDGE.examine(keeps_variance).right and JUDGE.examine(asserts).right
    assert "refuses" in JUDGE.examine(lambda candidate: False).message
    assert (
        "accepts a wrong function (and 1 of 1 others): noise at full strength"
        in JUDGE.examine(lambda candidate: True).message
    )
    assert "nothing" in JUDGE.examine(lambda candidate: print(end="")).message


# -------------------------------------------------------------------------------------------------------------- edits
@pytest.mark.parametrize("edit", ["alpha_bar[t + 1] -> beta", "x0 <-> y0", "x = A -> x = 1"])
def test_a_slip_that_does_not_fit_the_solution_is_an_error(edit):
    with pytest.raises(ValueError, match="is no expression or statement of the solution"):
        slip(q_sample, edit)


def test_an_edit_keeps_its_brackets_and_knows_letters_and_exchanges():
    one, x = normal(1, 3), normal(2, 3)
    table = SHORT.alpha_bar
    assert close(slip(q_sample, "alpha_bar[t] -> alpha_bar[t] / alpha_bar[t - 1]")(one, 3, x, table), (table[3] / table[2]).sqrt() * one + (1 - table[3] / table[2]).sqrt() * x)  # fmt: skip
    assert close(slip(q_sample, "x0 <-> eps")(one, 3, x, table), q_sample(x, 3, one, table))
    assert close(slip(q_sample, "A.sqrt() -> A")(one, 3, x, table), table[3] * one + (1 - table[3]) * x)
    assert close(slip(q_sample, "A + B -> A ; x0 -> 2 * x0")(one, 3, x, table), 2 * table[3].sqrt() * one)


def test_an_exercise_needs_cases_or_a_check():
    with pytest.raises(ValueError, match="needs cases"):
        Exercise("99.6", q_sample, hints=["-"])


# ---------------------------------------------------------------------------------------------------------- comparing
@pytest.mark.parametrize(
    ("a", "b"), [(0.2273, 0.22730000001), (1.0, 1.0 + 1e-15), (-1.426, -1.4260001), (1e-30, 2e-30)]
)
def test_two_different_numbers_are_never_shown_alike(a, b):
    assert len(set(apart(a, b))) == 2


def test_what_counts_as_equal_is_relative_to_the_largest_entry():
    right = torch.tensor([1.0, -0.001]).double()
    assert close(right + 5e-6, right) and not close(right + 5e-5 * torch.tensor([0, 1]), right)
    assert close(torch.tensor([float("nan"), 1.0]), torch.tensor([float("nan"), 1.0]))
    assert not close(torch.tensor([float("inf"), 1.0]), torch.tensor([float("nan"), 1.0]))


def test_a_whole_number_is_compared_exactly():
    exercise = Exercise("99.7", count, cases=[{"n": 100_000}], hints=["-"])
    assert exercise.examine(lambda n: float(7 * n + 1)).right and not exercise.examine(lambda n: 7 * n).right


def count(n):
    return 7 * n + 1


@pytest.mark.parametrize("value", ["text", {}, {1}, 1j, object(), print, [[1], [1, 2]]])
def test_what_is_no_number_is_none(value):
    assert as_numbers(value) is None


def test_nothing_finite_is_close_to_infinity():
    assert not close(torch.tensor([3056.0]), torch.tensor([float("inf")]))
    assert close(torch.tensor([float("inf")]), torch.tensor([float("inf")]))


def heights(rows):
    return torch.tensor(rows).double().sum(1)


def test_an_answer_may_be_a_list_of_tensors_and_a_message_shows_a_list_that_was_given():
    exercise = Exercise(
        "99.9",
        lambda rows: torch.outer(heights(rows), torch.ones(2)),
        cases=[{"rows": [[1, 2], [3, 5]]}, {"rows": [[7, 2], [0, 4]]}],
        gives=[Value("the sums")],
        hints=["add"],
    )
    assert exercise.examine(lambda rows: [torch.tensor([float(sum(row))] * 2) for row in rows]).right
    message = exercise.examine(lambda rows: [torch.tensor([1.0 + row[0]] * 2) for row in rows]).message
    assert "at rows = [[1, 2], [3, 5]], entry" in message


# ------------------------------------------------------------------------------------------ what is handed in by mistake
@pytest.mark.parametrize("name", [6.2, "6.2", "06,2", " 6-2 ", "06-02"])
def test_a_name_written_in_another_way_is_told_the_right_one(name):
    with pytest.raises(ValueError, match=r"there is no exercise .*: did you mean '06\.2'\?"):
        check(name, q_sample)


@pytest.mark.parametrize(
    ("name", "message"),
    [("06.77", "lesson 06 has 06.1, 06.2"), ("77.1", "the lessons with exercises are"), (None, "no exercise None"), ([6], "no exercise")],
)  # fmt: skip
def test_a_name_of_nothing_is_told_what_there_is(name, message):
    with pytest.raises(ValueError, match=message):
        check(name, q_sample)


@pytest.mark.parametrize("value", [torch.zeros(3), 3, "q_sample", (1, 2)])
def test_a_value_in_the_place_of_the_function_is_told_what_to_hand_in(value, capsys):
    check("06.2", value)
    assert "hand in the function itself, check('06.2', q_sample), and not what it returns" in capsys.readouterr().out


@pytest.mark.parametrize("function", [lambda: 0, lambda x0, t: x0, lambda a, b, c, d, e: a])
def test_a_function_of_other_arguments_is_told_which_it_is_called_with(function, capsys):
    check("06.2", function)
    assert "is called with (x0, t, eps, alpha_bar): give it these arguments" in capsys.readouterr().out


def nearly(a, b):
    return a + 1e-4 * b


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_a_small_factor_of_a_sum_must_be_right_too(kind):
    case = {"a": normal(1, 50), "b": normal(2, 50)}
    exercise = Exercise("99.20", nearly, cases=[case], gives=[Sum("x", a="1", b="0.0001")], hints=["-"])
    assert exercise.examine(lambda a, b: (a + 1.0e-4 * b).to(kind)).right
    assert not exercise.examine(lambda a, b: (a + 1.04e-4 * b).to(kind)).right


def test_a_result_too_many_is_counted():
    exercise = Exercise(
        "99.21", lambda a: (a, a + 1), cases=[{"a": 2.0}], gives=[Value("one"), Value("two")], hints=["-"]
    )
    assert "returns 3 results and should return 2: one, two" in exercise.examine(lambda a: (a, a + 1, a)).message


def test_exercises_are_counted_and_not_spelled(monkeypatch):
    monkeypatch.setattr(load, "REGISTRY", {f"98.{i}": i for i in (10, 2, 1, 11)} | {"97.1": 0})
    assert load.exercises_of("98") == [1, 2, 10, 11]
