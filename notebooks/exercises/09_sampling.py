"""The exercises of lesson 09: sampling."""

import torch

from course_lib.diffusion import NoiseSchedule
from course_lib.exercises import Calls, Exercise, NotYet, Spy, Sum, Value, as_numbers, normal, uniform

LINEAR, COSINE = NoiseSchedule.linear(), NoiseSchedule.cosine()
SHORT, CURVED = NoiseSchedule.linear(20, 0.02, 0.3), NoiseSchedule.cosine(20)
X, EPS, Z = normal(1, 3, 53)


def path(T, n):
    return [round(T * (n - i) / n) for i in range(n + 1)]


def _falls_evenly(answer):
    """Any path of whole times is right whose steps differ by 1 at most."""
    for T, n in ((1000, 10), (1000, 7), (1000, 30), (64, 64), (50, 1), (21, 8)):
        times, call = as_numbers(answer(T, n)), f"path({T}, {n})"
        if times is None or times.ndim != 1 or len(times) == 0 or not times.isfinite().all():
            return f"{call} should be a list of whole numbers"
        first, last, steps = f"{times[0]:.6g}", f"{times[-1]:.6g}", -times.diff()
        if times[0] < times[-1]:
            return f"{call} rises from {first} to {last}: sampling starts at T, in the noise, and goes down"
        if len(times) != n + 1:
            lost = "" if last == "0" else f", and it stops at {last}: 0 is a time as well (range stops before its end)"
            return f"{call} has {len(times)} times and should have {n + 1}: n steps lie between n + 1 times{lost}"
        if times[0] != T:
            return f"{call} starts at {first} and should start at T = {T}: t runs from 0 to T, so T itself is a time"
        equal = n > 1 and T % n != 0 and bool((steps[:-1] == steps[0]).all())
        rounded = f": a step of {steps[0]:.6g} is rounded already, and {n} of those are not {T}" if equal else ""
        if times[-1] != 0:
            why = ": the step from t = 1 to t = 0 is part of the path" if times[-1] == 1 else rounded
            return f"{call} ends at {last} and should end at 0{why}"
        if len(broken := times[times != times.round()]):
            return f"{call} holds {broken[0]:.8g}, which is no whole number; a model knows whole times alone"
        if steps.max() - steps.min() > 1:
            return f"the steps of {call} are not even, from {steps.min():.6g} to {steps.max():.6g} long{rounded}"
    return ""


Exercise(
    "09.1", path,
    check=_falls_evenly,
    slips={
        "143 is rounded already, and 7 of those are not 1000": "return [T - i * round(T / n) for i in range(n + 1)]",
        "from 142 to 148 long: a step of 142 is rounded": "return [T - i * (T // n) for i in range(n)] + [0]",
        "and it stops at 100: 0 is a time as well": "return list(range(T, 0, -T // n))",
        "the step from t = 1 to t = 0 is part of": "return torch.linspace(T, 1, n + 1).round().int().tolist()",
        "so T itself is a time": "return torch.linspace(T - 1, 0, n + 1).round().int().tolist()",
        "sampling starts at T, in the noise": "n - i -> i",
        "which is no whole number": "round(A) -> A",
        "are not even, from 10 to 190": "round(A * (n - i) / n) -> round(A * ((n - i) / n) ** 2)",
    },
    hints=[
        "n steps have n + 1 ends. A step may be rounded up or down, but the errors must not add up on the way.",
        "Where is the i-th of the ends before anything is rounded? It is T (n − i) / n; round that.",
    ],
)  # fmt: skip


def ddpm_step(x_t, eps_hat, t, z, beta, alpha_bar):
    mean = (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()
    return mean + beta[t].sqrt() * z if t > 1 else mean


Exercise(
    "09.2", ddpm_step,
    cases=[
        {"x_t": X, "eps_hat": EPS, "t": t, "z": Z, "beta": q.beta, "alpha_bar": q.alpha_bar}
        for q, t in ((SHORT, 12), (COSINE, 950), (SHORT, 2), (LINEAR, 60), (SHORT, 1), (COSINE, 1))
    ],
    gives=[Sum("x_(t−1)", x_t="1 / √α_t", eps_hat="−β_t / (√(1 − ᾱ_t) √α_t)", z="√β_t, and 0 at t = 1")],
    slips={
        "noise in the last step, too: what comes out there is the image itself": "A if t > 1 else mean -> A",
        "no noise is added; only the last step goes without": "A if t > 1 else mean -> mean",
        "the step to t = 1 is not the last one: it is followed by the step to 0": "t > 1 -> t > 2",
        "β̃_t, the posterior's variance, stands for the other choice of σ_t²":
            "A.sqrt() * z -> ((1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * A).sqrt() * z",
        "z is divided as well; new noise comes after the bracket": "A.sqrt() * z -> (A / (1 - beta[t])).sqrt() * z",
        "ᾱ is the product of all steps, and this is one step back": "(1 - beta[t]).sqrt() -> alpha_bar[t].sqrt()",
        "x_t shrank in the forward step, and nothing makes up for it": "A / (1 - beta[t]).sqrt() -> A",
        "x_t alone is divided, but what is subtracted from it has shrunk with it": "(x_t - A) / B -> x_t / B - A",
        "all the noise is taken away at once; one step takes a part of it": "beta[t] / A * eps_hat -> A * eps_hat",
        "eps_hat is divided by one step's noise, but it is that of all steps": "1 - alpha_bar[t] -> beta[t]",
        "the linear schedule's; use the tables that are given": "beta -> LINEAR.beta ; alpha_bar -> LINEAR.alpha_bar",
    },
    hints=[
        "Two parts: the mean of x_(t−1), from x_t and eps_hat, and then noise with a variance. Where is there none?",
        "α_t belongs to this step alone, ᾱ_t to all steps up to t. Which of them does eps_hat belong to?",
        "Mean: take β_t / √(1 − ᾱ_t) of eps_hat from x_t, and divide by √α_t. Add √β_t z where t > 1.",
    ],
)  # fmt: skip


def ddim_step(x_t, eps_hat, t, s, eta, z, alpha_bar):
    x0 = (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()
    sigma = eta * ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt() * (1 - alpha_bar[t] / alpha_bar[s]).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s] - sigma**2).sqrt() * eps_hat + sigma * z


def _parts(x_t, eps_hat, t, z, alpha_bar, **_):
    return {"x0": (x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt(), "eps_hat": eps_hat, "z": z}


Exercise(
    "09.3", ddim_step,
    cases=[
        {"x_t": X, "eps_hat": EPS, "t": t, "s": s, "eta": eta, "z": Z, "alpha_bar": q.alpha_bar}
        for q, t, s, eta in ((SHORT, 14, 6, 0.0), (SHORT, 17, 9, 0.7), (COSINE, 600, 300, 1.0), (SHORT, 8, 1, 0.6),
                             (CURVED, 9, 8, 0.3), (COSINE, 500, 0, 0.4))
    ],
    gives=[Sum("x_s", basis=_parts, x0="√ᾱ_s", eps_hat="√(1 − ᾱ_s − σ²)", z="η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s)")],
    slips={
        "new noise comes in, and none of the old goes: there is too much of it in x_s": "A - sigma**2 -> A",
        "η is squared in σ; it is the variance that has its square": "eta * A -> eta**2 * A",
        "η is not squared under the root, where a variance stands": "sigma**2 -> sigma**2 / max(eta, 1e-9)",
        "ᾱ at t − 1, but the step leads to s, which may be far from there": "alpha_bar[s] -> alpha_bar[t - 1]",
        "σ is that of a step to t − 1, but this one goes to s":
            "(1 - alpha_bar[s]) / A -> (1 - alpha_bar[t - 1]) / A ; A / alpha_bar[s] -> A / alpha_bar[t - 1]",
        "that is σ² where σ belongs: its roots are missing": "eta * A.sqrt() * B.sqrt() -> eta * A * B",
        "x_0 is estimated with ᾱ_s, but x_t has the noise of time t":
            "x0 = A -> x0 = (x_t - (1 - alpha_bar[s]).sqrt() * eps_hat) / alpha_bar[s].sqrt()",
        "no new noise at s = 1, though the last step is the one to s = 0": "sigma * z -> sigma * z * (s > 1)",
        "that is DDIM's step, whatever η is": "sigma = A -> sigma = 0 * s",
        "the linear schedule's; use the table that is given": "alpha_bar -> LINEAR.alpha_bar",
    },
    hints=[
        "First estimate x_0 from x_t and eps_hat. Then build x_s of three parts: that x_0, eps_hat, and new noise z.",
        "x_s has a noise variance of 1 − ᾱ_s in all. If σ² of it comes from z, how much is left for eps_hat?",
        "x_s = √ᾱ_s x_0 + √(1 − ᾱ_s − σ²) eps_hat + σ z,  σ = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s).",
    ],
)  # fmt: skip


def my_langevin_step(x, score, size, z):
    return x + size * score(x) + (2 * size) ** 0.5 * z


Exercise(
    "09.4", my_langevin_step,
    cases=[
        {"x": normal(7, 53, 2), "score": lambda x: 2 * torch.tanh(2 * x) - x, "size": size, "z": normal(8, 53, 2)}
        for size in torch.tensor([0.05, 0.3, 0.7]).double()
    ],
    gives=[Sum("the new x", basis=lambda x, score, z, **_: {"x": x, "score(x)": score(x), "z": z},
               **{"x": "1", "score(x)": "size", "z": "√(2 size)"})],
    slips={
        "downhill: the score points to where x is more probable": "x + size * score(x) -> x - size * score(x)",
        "the noise has moved x before the score is asked": "x = x + (2 * size) ** 0.5 * z\nreturn x + size * score(x)",
        "no noise: x would climb to the next peak and stay there": "A + (2 * size) ** 0.5 * z -> A",
        "z is as it was drawn; new noise depends on how long the step is": "(2 * size) ** 0.5 * z -> z",
        "the sign of the new noise is turned": "A + (2 * size) ** 0.5 * z -> A - (2 * size) ** 0.5 * z",
        "z is added, where it should be multiplied": "(2 * size) ** 0.5 * z -> (2 * size) ** 0.5 + z",
        "size multiplies all that is added, but noise has its own factor": "(2 * size) ** 0.5 -> size * (2 * size) ** 0.5",
    },
    hints=[
        "Three terms: where you are, a step uphill along the score, and noise. score is a function: call it at x.",
        "The noise has the variance 2 size. By which number has z to be multiplied?",
    ],
)  # fmt: skip


def heun_step(eps_model, x, t, s, alpha_bar):
    def ddim(eps):
        x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
        return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps

    eps = eps_model(x, t)
    guess = ddim(eps)
    return ddim((eps + eps_model(guess, s)) / 2) if s > 0 else guess


def moved(x, eps, t, s, alpha_bar):
    return ddim_step(x, eps, t, s, 0, 0, alpha_bar)


FIRST = (
    "step = lambda x, eps: moved(x, eps, t, s, alpha_bar)\neps = eps_model(x, t)\nguess = step(x, eps)\n"
    "if s == 0:\n    return guess\nsecond = eps_model(guess, s)\n"
)
HALF = (
    "m = (t + s) // 2\nhalf = moved(x, eps_model(x, t), t, m, alpha_bar)\n"
    "return moved(x, eps_model(half, m), t, s, alpha_bar)"
)
Exercise(
    "09.5", heun_step,
    cases=[
        {"eps_model": Spy(lambda x, t: 0.6 * x + torch.sin(2 * x + t) / 3), "x": X, "t": t, "s": s, "alpha_bar": q.alpha_bar}
        for q, t, s in ((SHORT, 17, 9), (CURVED, 14, 5), (SHORT, 9, 1), (CURVED, 6, 0), (SHORT, 1, 0))
    ],
    gives=[Calls("eps_model", Value("the x for the model"), Value("the time for the model")),
           Value("x_s", "DDIM's step from x with the mean of both eps")],
    slips={
        "that is x itself: no step is taken": "return x",
        "that is what DDIM's step gives": "A if s > 0 else guess -> guess",
        "the model is asked at t = 0, where no noise is left to predict": "A if s > 0 else guess -> A",
        "at s = 1 some noise is left, so the model can be asked there": "s > 0 -> s > 1",
        "the second eps is asked at x; it belongs to the guess": "eps_model(guess, s) -> eps_model(x, s)",
        "the second eps is asked at t, but the guess has the noise of s": "eps_model(guess, s) -> eps_model(guess, t)",
        "the second eps alone; the first one counts as well": "(eps + A) / 2 -> A",
        "that is the midpoint method, which asks half-way; Heun asks at both ends": FIRST[:FIRST.index("second")] + HALF,
        "that is the midpoint method, which asks half-way for s = 0 as well": HALF,
        "the second step starts from the guess, which is at s already": FIRST + "return step(guess, (eps + second) / 2)",
        "the second step goes on from the guess with its eps alone": FIRST + "return step(guess, second)",
        "the mean of the guess and of a step on from it; both start from x": FIRST + "return (guess + step(guess, second)) / 2",
        "the second eps has no effect (it cancels if the x_0 of both ends is averaged, too)": FIRST + "return guess",
        "x_0 is still that of the first eps": FIRST + "return guess + (1 - alpha_bar[s]).sqrt() * (second - eps) / 2",
        "the guess is corrected twice": FIRST + "y = step(x, (eps + second) / 2)\nreturn step(x, (eps + eps_model(y, s)) / 2)",
    },
    hints=[
        "DDIM's step appears twice, from the same x: only the eps differs. Write it as a small function of eps.",
        "guess = DDIM's step with eps_model(x, t). What does the model say there, at the guess?",
        "The answer is DDIM's step from x with (eps_model(x, t) + eps_model(guess, s)) / 2. For s = 0 it is the guess.",
    ],
)  # fmt: skip


def divergence(f, x, z):
    x = x.detach().requires_grad_()
    (z_jacobian,) = torch.autograd.grad((f(x) * z).sum(), x)
    return (z_jacobian * z).sum(1)


PLAINER = {
    "does not require grad": "autograd does not follow x: call x.requires_grad_() before f(x)",
    "not have been used in the graph": "autograd sees no way from x to the number: f must get the x that requires grad",
    "only for scalar outputs": "torch.autograd.grad takes the gradient of one number; you gave it several",
    "graph a second time": "the graph of f(x) is gone after the first gradient; one gradient serves all rows",
    "tuple|to an index": "torch.autograd.grad gives a tuple, even for a single x",
}


class Differentiated(Exercise):
    """Says in plainer words what autograd complains of."""

    def judge(self, answer):
        try:
            super().judge(answer)
        except (RuntimeError, TypeError, AttributeError) as error:
            plain = [
                text for complaint, text in PLAINER.items() if any(part in str(error) for part in complaint.split("|"))
            ]
            raise NotYet(plain[0]) if plain else error from None


def mixing(a, b):
    """tanh(A x + ½) + b x, row by row; its Jacobian is neither constant nor symmetric."""
    return lambda x: torch.tanh(x @ a.T.to(x.dtype) + 0.5) + x * b.to(x.dtype)


Differentiated(
    "09.6", divergence,
    cases=[
        {"f": mixing(normal(10, 5, 5), normal(11, 5)), "x": normal(12, 7, 5), "z": normal(13, 7, 5)},
        {"f": mixing(normal(14, 3, 3), normal(17, 3)), "x": normal(15, 11, 3), "z": normal(16, 11, 3).sign()},
    ],
    gives=[Value("zᵀJz", "Σ_i (zᵀJ)_i z_i, with zᵀJ the gradient of Σ f(x) z")],
    slips={
        "autograd does not follow x": "x = A -> x = x",
        "gives a tuple": "(z_jacobian,) = A -> z_jacobian = A",
        "takes the gradient of one number": "(f(x) * z).sum() -> f(x) * z",
        "one number for the whole batch; each row has a trace of its own": "A.sum(1) -> A.sum()",
        "summed over the rows, not over the d numbers of each": "A.sum(1) -> A.sum(0)",
        "that is zᵀJ, d numbers for each row: z belongs on both sides of J": "(z_jacobian * z).sum(1) -> z_jacobian",
        "that is the tuple with zᵀJ in it": "(z_jacobian,) = A -> z_jacobian = A ; (z_jacobian * z).sum(1) -> z_jacobian",
        "zᵀJ is summed as it is: z belongs on both sides of J": "z_jacobian * z -> z_jacobian",
        "the gradient of the sum of f(x), without z": "f(x) * z -> f(x)",
        "nothing is differentiated: that is z times f(x)": "return (f(x) * z).sum(1)",
        "each row's zᵀJ meets the z of all rows": "(z_jacobian * z).sum(1) -> (z_jacobian @ z.T).sum(1)",
        "the trace itself, not this estimate": "return [torch.autograd.functional.jacobian(f, row).trace() for row in x]",
    },
    hints=[
        "torch.autograd.grad of a number gives its gradient with respect to x. The gradient of which number is zᵀJ?",
        "Each row of f(x) depends on that row of x alone, so one sum serves all rows. Enable grad on x first.",
        "zᵀJ is the gradient of (f(x) * z).sum(), (n, d). Multiply it by z and sum over d: one number per row.",
    ],
)  # fmt: skip


def clipped_step(x_t, eps_hat, t, s, alpha_bar):
    x0 = ((x_t - (1 - alpha_bar[t]).sqrt() * eps_hat) / alpha_bar[t].sqrt()).clamp(-1, 1)
    eps = (x_t - alpha_bar[t].sqrt() * x0) / (1 - alpha_bar[t]).sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps


LATE, OLD = "alpha_bar[s] -> alpha_bar[t - 1]", "eps = A -> eps = eps_hat"
Exercise(
    "09.7", clipped_step,
    cases=[
        {"x_t": X, "eps_hat": EPS, "t": t, "s": s, "alpha_bar": q.alpha_bar}
        for q, t, s in ((SHORT, 14, 6), (COSINE, 600, 300), (CURVED, 9, 8), (SHORT, 10, 1), (SHORT, 7, 0))
    ] + [{"x_t": 0.2 * uniform(19, 53), "eps_hat": 0.2 * uniform(20, 53), "t": 8, "s": 3, "alpha_bar": SHORT.alpha_bar}],
    gives=[Value("x_s", "√ᾱ_s x_0 + √(1 − ᾱ_s) eps, with the clipped x_0 and eps = (x_t − √ᾱ_t x_0) / √(1 − ᾱ_t)")],
    slips={
        "nothing has changed yet: both bugs are still there": f"{LATE} ; {OLD}",
        "one bug is gone; the other: eps_hat and the clipped x_0 do not make up x_t any more": OLD,
        "one bug is gone; the other: the step leads to s, which may be far from t − 1": LATE,
        "that is x_t again: the step leads from t to t": "alpha_bar[s] -> alpha_bar[t]",
        "that is x_t again: the new eps is solved for with ᾱ_s, but x_t has the noise of time t":
            "return x_t if s > 0 else moved(x_t, eps_hat, t, 0, alpha_bar).clamp(-1, 1)",
        "x_0 is not clipped any more; that was no bug": "A.clamp(-1, 1) -> A",
        "x_s is clipped, and not x_0; with noise in it, it may lie outside":
            "return moved(x_t, eps_hat, t, s, alpha_bar).clamp(-1, 1)",
        "x_t is clipped, where x_0 should be": "return moved(x_t.clamp(-1, 1), eps_hat, t, s, alpha_bar)",
        "eps_hat is clipped, where x_0 should be": "return moved(x_t, eps_hat.clamp(-1, 1), t, s, alpha_bar)",
        "the clipped x_0 serves for eps alone": "A.sqrt() * x0 + B -> A.sqrt() * moved(x_t, eps_hat, t, 0, alpha_bar) + B",
        "the new eps is clipped, too; noise is often outside [−1, 1]": "A * eps -> A * eps.clamp(-1, 1)",
        "x_0 is clipped on one side alone, above": "A.clamp(-1, 1) -> A.clamp(max=1)",
        "x_0 is clipped on one side alone, below": "A.clamp(-1, 1) -> A.clamp(min=-1)",
        "x_0 is clipped to [0, 1]; the images are in [−1, 1]": "A.clamp(-1, 1) -> A.clamp(0, 1)",
    },
    hints=[
        "Try it with s = t − 5 and with an x_t for which nothing is clipped. Then with an x_t for which much is.",
        "One bug: where does the step lead? The other: x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) eps should hold after clipping too.",
        "Solve that for eps with the clipped x_0, use this eps instead of eps_hat, and s instead of t − 1, twice.",
    ],
)  # fmt: skip
