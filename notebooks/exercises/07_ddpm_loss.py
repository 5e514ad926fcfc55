"""The exercises of lesson 07: the DDPM loss."""

import copy

import torch

from course_lib.diffusion import NoiseSchedule
from course_lib.exercises import Calls, Exercise, Loss, NotYet, Spy, Sum, Value, normal, uniform
from course_lib.exercises.gives import run

LINEAR, COSINE = NoiseSchedule.linear(), NoiseSchedule.cosine()
SHORT = NoiseSchedule.linear(20, 0.02, 0.3)


# ---------------------------------------------------------------------------------------------------------------------
def kl(m1, v1, m2, v2):
    return 0.5 * (torch.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2 - 1)


Exercise(
    "07.1", kl,
    cases=[{"m1": normal(s, 53), "v1": 1.3 + uniform(s + 1, 53), "m2": normal(s + 2, 53), "v2": 1.5 + uniform(s + 3, 53)}
           for s in (1, 5)],
    gives=[Value("the KL", "½ (log(v2/v1) + (v1 + (m1 − m2)²)/v2 − 1)")],
    slips={
        "the KL of the second to the first, the other way round": "m1 <-> m2 ; v1 <-> v2",
        "v1 and v2 are variances already, and you square them": "v1 -> v1**2 ; v2 -> v2**2",
        "the logarithm is not halved, as if it were of deviations": "0.5 * (A + B - 1) -> A + 0.5 * (B - 1)",
        "two equal Gaussians have a KL above 0": "A - 1 -> A",
        "the KL to N(0, 1), as in lesson 06; m2 and v2 have to enter": "return 0.5 * (v1 + m1**2 - 1 - torch.log(v1))",
    },
    hints=[
        "Where the two variances are equal, only the distance of the means counts: (m1 − m2)² / (2 v2).",
        "Where the means are equal, it is half of log(v2/v1) + v1/v2 − 1, which is 0 for v1 = v2. Add the two.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def undo_one_step(x_t, x0, t, beta, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    mu_tilde = ((1 - beta[t]).sqrt() * (1 - before) * x_t + before.sqrt() * beta[t] * x0) / (1 - now)
    return mu_tilde, beta[t] * (1 - before) / (1 - now)


Exercise(
    "07.2", undo_one_step,
    cases=[{"x_t": normal(2, 53), "x0": uniform(3, 53), "t": t, "beta": schedule.beta, "alpha_bar": schedule.alpha_bar}
           for schedule, t in ((SHORT, 6), (LINEAR, 400), (COSINE, 700), (SHORT, 2), (SHORT, 1))],
    gives=[Sum("mu_tilde", x_t="√α_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t)", x0="√ᾱ_{t−1} β_t / (1 − ᾱ_t)"),
           Value("beta_tilde", "β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t)")],
    slips={
        "your form divides by 1 − ᾱ_0, which is 0 at t = 1; bring it to one fraction":
            "precision = (1 - beta[t]) / beta[t] + 1 / (1 - alpha_bar[t - 1])\n"
            "pull = (1 - beta[t]).sqrt() / beta[t] * x_t + alpha_bar[t - 1].sqrt() / (1 - alpha_bar[t - 1]) * x0\n"
            "return pull / precision, 1 / precision",
        "the variance is upside down, as a slide prints it: that is more than β_t, but knowing x_0 narrows it":
            "return A, B -> return A, beta[t] * (1 - now) / (1 - before)",
        "the standard deviation, where the variance was asked for": "return A, B -> return A, B.sqrt()",
        "the variance of the step forward, β_t: knowing x_0 narrows it": "return A, B -> return A, beta[t]",
        "what the step alone says of x_(t−1); x_0 makes it narrower": "return A, B -> return A, beta[t] / (1 - beta[t])",
        "what the jump from x_0 alone says of x_(t−1); x_t makes it narrower": "return A, B -> return A, 1 - before",
        "two variances are added, but precisions add": "return A, B -> return A, beta[t] / (1 - beta[t]) + 1 - before",
        "the step before, from t − 2 to t − 1: the tables have T + 1 entries, so an index is t itself":
            "beta[t] -> beta[t - 1] ; alpha_bar[t - 1] -> alpha_bar[t - 2] ; alpha_bar[t] -> alpha_bar[t - 1]",
    },
    hints=[
        "Two Gaussians speak of x_{t−1}: the step says N(x_t/√α_t, β_t/α_t), the jump N(√ᾱ_{t−1} x_0, 1 − ᾱ_{t−1}). Multiply.",
        "Precisions (1 / variance) add: 1/β̃_t = α_t/β_t + 1/(1 − ᾱ_{t−1}). Bring it to one fraction, over 1 − ᾱ_t.",
        "β̃_t = β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t), and μ̃_t = (√α_t (1 − ᾱ_{t−1}) x_t + √ᾱ_{t−1} β_t x_0) / (1 − ᾱ_t).",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def mean_from_eps(x_t, eps_hat, t, beta, alpha_bar):
    return (x_t - beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat) / (1 - beta[t]).sqrt()


Exercise(
    "07.3", mean_from_eps,
    cases=[{"x_t": normal(4, 53), "eps_hat": normal(5, 53), "t": t, "beta": schedule.beta, "alpha_bar": schedule.alpha_bar}
           for schedule, t in ((SHORT, 6), (LINEAR, 400), (COSINE, 700), (SHORT, 2))],
    gives=[Sum("the mean", x_t="1 / √α_t", eps_hat="−β_t / (√(1 − ᾱ_t) √α_t)")],
    slips={
        "a guess at x_0; the mean of x_(t−1) lies one step back":
            "beta[t] / A -> A ; (1 - beta[t]).sqrt() -> alpha_bar[t].sqrt()",
        "all the noise of x_t is taken away, but one step takes away a part of it": "beta[t] / A -> A",
        "the noise of one step is taken away, but eps_hat is that of all steps together": "beta[t] / A -> beta[t].sqrt()",
        "x_t has the factor that it has beside x_0, but x_0 is to be replaced, and it holds x_t too":
            "x_t - A -> (1 - beta[t]) * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * x_t - A",
    },
    hints=[
        "Solve x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) eps for x_0, and put it into the μ̃_t of exercise 07.2.",
        "The two factors of x_t add up to one short factor, since ᾱ_t = α_t ᾱ_{t−1}. The factor of eps is negative.",
        "μ = (x_t − β_t / √(1 − ᾱ_t) · eps_hat) / √α_t, and α_t is 1 − beta[t].",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def ddpm_loss(net, x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return ((net(x_t, t) - eps) ** 2).mean()


def guess(x_t, t):  # noqa: ARG001
    return 1.6 * x_t + 0.5 * torch.sin(3 * x_t) + 0.2


# Eight images of 8 × 8, so that a table without its shape broadcasts in silence.
LOSS = Exercise(
    "07.4", ddpm_loss,
    cases=[
        {"net": Spy(guess), "x0": uniform(6, 8, 1, 8, 8), "t": torch.tensor(t), "eps": normal(7, 8, 1, 8, 8), "alpha_bar": ab}
        for ab, t in ((SHORT.alpha_bar, [9, 20, 1, 15, 4, 2, 11, 7]), (COSINE.alpha_bar, [300, 900, 20, 999, 500, 1, 77, 640]),
                         (LINEAR.alpha_bar, [610, 30, 150, 420, 1000, 780, 870, 250]))
    ],
    gives=[Calls("net", Sum("the x_t for net", each=True, x0="√ᾱ_t", eps="√(1 − ᾱ_t)"), Value("the time for net"), joined=True),
           Loss("the loss", "the mean of (net(x_t, t) − eps)² over all entries")],
    slips={
        "each column of x_t has a t of its own: the numbers ᾱ_t meet the wrong axis": "A.reshape(-1, 1, 1, 1) -> A",
        "every image meets every t: the numbers ᾱ_t have an axis too few": "A.reshape(-1, 1, 1, 1) -> A.reshape(-1, 1, 1)",
        "the time is divided by T, but these nets take whole times": "net(A, t) -> net(A, t / (len(alpha_bar) - 1))",
        "net is shown x_0 itself, but has to find the noise in a noisy image": "net(A, t) -> net(x0, t)",
        "net is called with the time first, but its images come first": "net(A, t) -> net(t, A)",
        "compared with x_0, but this net predicts the noise": "A - eps -> A - x0",
        "compared with x_t, but this net predicts the noise": "A - eps -> A - x_t",
        "compared with the noise as it is in x_t, not as it was drawn": "A - eps -> A - (1 - a).sqrt() * eps",
    },
    hints=[
        "Three lines: make x_t from x0 and eps, ask net, compare its answer with the noise that you used.",
        "alpha_bar[t] is n numbers, shape (n,). In which shape does each of them multiply one whole image?",
        "a = alpha_bar[t].reshape(-1, 1, 1, 1); x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps; ((net(x_t, t) - eps) ** 2).mean().",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def eps_weight(t, beta, alpha_bar, sigma2):
    return beta[t] ** 2 / (2 * sigma2 * (1 - beta[t]) * (1 - alpha_bar[t]))


Exercise(
    "07.5", eps_weight,
    cases=[
        {"t": t, "beta": schedule.beta, "alpha_bar": schedule.alpha_bar, "sigma2": share * schedule.beta[t]}
        for schedule, t, share in ((SHORT, 6, 0.7), (LINEAR, 400, 1.3), (COSINE, 700, 0.9), (SHORT, 13, 1.7), (SHORT, 1, 0.3))
    ],
    gives=[Value("λ_t", "β_t² / (2 sigma2 α_t (1 − ᾱ_t))")],
    slips={
        "sigma2 is squared, as a slide prints it, but it is σ² already": "sigma2 -> sigma2**2",
        "β_t serves as the reverse step's variance, but that is given, and may be another": "sigma2 -> beta[t]",
        "β̃_t serves as the variance, but that is given": "sigma2 -> beta[t] * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])",
        "the factor of the error in the mean; the KL needs more": "beta[t] ** 2 / (A * B * C) -> beta[t] / (B * C).sqrt()",
        "the factor of the error is not squared": "beta[t] ** 2 / (A * B * C) -> beta[t] / (A * (B * C).sqrt())",
        "the weight of an error in x_0, not in eps": "A / (B * C * I) -> alpha_bar[t - 1] * A / (B * I**2)",
        "ᾱ_t is the product of all steps, and the mean is divided by that of one step": "1 - beta[t] -> alpha_bar[t]",
        "a weight of a square is never negative": "return A -> return -A",
        "1, as in L_simple; the bound weighs each t in its own way": "return 1.0",
        "what stands after the 2 multiplies: are brackets missing?": "A / (2 * B * C * I) -> A / 2 * B * C * I",
    },
    hints=[
        "Two Gaussians of fixed variances: what depends on the net in their KL is |μ̃ − μ|² / (2 sigma2).",
        "μ̃ and μ hold the same x_t, so their difference is one number times (eps_hat − eps): exercise 07.3 has it.",
        "Square β_t / (√(1 − ᾱ_t) √α_t) and divide by 2 sigma2. The roots go, β_t becomes β_t².",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def training_step(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    x_t = signal.reshape(-1, 1, 1, 1) * x0 + noise.reshape(-1, 1, 1, 1) * eps
    eps_hat = net(x_t, t)
    return ((eps_hat - eps) ** 2).mean()


def _learns(step):
    """Equal seeds draw alike: x_0 = 0 shows the noise alone; with the draws known, it must be the loss of exercise 07.4."""
    x0, judge = uniform(8, 61, 1, 8, 8), copy.copy(LOSS)
    for table in (NoiseSchedule.linear(5, 0.1, 0.6).alpha_bar, NoiseSchedule.cosine(7).alpha_bar):
        (_, times), (noise, again) = (_seen(step, images, table) for images in (x0, 0 * x0))
        if not torch.equal(times, again):
            return "two calls with equal seeds draw different times: all chance should come from the generator"
        if message := _of_times(times, len(table) - 1) or _of_noise(noise, times.long(), table):
            return message
        eps = noise / (1 - table[times.long()]).sqrt().reshape(*times.shape, 1, 1, 1)
        judge.cases = [{"net": Spy(guess), "x0": x0, "t": t, "eps": e, "alpha_bar": table}
                       for t, e in zip(times[:3].long(), eps[:3], strict=True)]  # fmt: skip
        judge.__dict__.pop("rights", None)
        judge.judge(_seeded(step, times))
    return ""


def _seeded(step, known):
    """It takes the arguments of 07.4 as well; the seed is the place of its t among those that are known."""
    return lambda net, x0, t, _, ab: step(
        net, x0, ab, torch.Generator().manual_seed(int((known == t).all(1).int().argmax()))
    )


def _seen(step, x0, table):
    """The x_t and the times that the step shows its net, for 16 seeds."""
    seeds, seen = torch.arange(16)[:, None], []
    for seed in seeds:
        case = {"net": Spy(guess), "x0": x0, "t": seed, "eps": None, "alpha_bar": table}
        slots = run(_seeded(step, seeds), case, LOSS.gives)
        if "the x_t for net" not in slots:
            raise NotYet("your step never calls net: the loss compares net(x_t, t) with the noise")
        seen.append([slots[f"the {name} for net"].value for name in ("x_t", "time")])
        shapes = [tuple(getattr(value, "shape", ())) for value in seen[-1]]
        if shapes != [x0.shape, x0.shape[:1]]:
            raise NotYet(f"net is given the shapes {shapes[0]} and {shapes[1]}, for images {tuple(x0.shape)}")
    return [torch.stack(values) for values in zip(*seen, strict=True)]


def _of_times(times, T):
    if (times == times[0]).all():
        return "the times are the same whatever the generator's seed: pass generator=generator to what draws them"
    if (times == times[:, :1]).all():
        return "all images of a batch have the same t; each should have one of its own"
    low, high = int(times.min()), int(times.max())
    if (low, high) != (1, T):
        why = "; at 0 there is no noise to find" * (low == 0)
        return f"the times for net run from {low} to {high}, and sampling begins at {T}{why}"
    share = torch.bincount(times.long().flatten(), minlength=T + 1)[1:] / times.numel()
    worst = int((share * T - 1).abs().argmax())
    often = f"t = {worst + 1} is drawn for {share[worst]:.0%} of the images, and all {T} should be equally frequent"
    return often if abs(share[worst] * T - 1) > 0.5 else ""


def _of_noise(noise, times, table):
    if not noise.any():
        return "there is no noise in the x_t for net"
    one, other = torch.nn.functional.normalize(noise[:2].flatten(2), dim=2)
    if torch.allclose(one, other, atol=1e-4):
        return "the noise is the same whatever the generator's seed: pass generator=generator to what draws it"
    if noise[0].unique().numel() < noise[0].numel() / 2:
        return "pixels or whole images share their noise; each pixel of each image should have its own"
    size = torch.stack([noise[times == t].square().mean().sqrt() for t in range(1, len(table))])
    wanted, before = (1 - table[1:]).sqrt(), (1 - table[:-1]).sqrt()
    if not torch.allclose(size, wanted, rtol=0.06):
        known = {"the variance stands for the deviation": wanted**2, "eps at full strength": wanted**0,
                 "net is told t, but x_t holds the noise of the step before": before}  # fmt: skip
        why = next((f"{says}: " for says, value in known.items() if torch.allclose(size, value, rtol=0.06)), "")
        n = int((size / wanted - 1).abs().argmax())
        text = f"at t = {n + 1}, the noise in the x_t for net has size {size[n]:.3g} and should have {wanted[n]:.3g}"
        raise NotYet(why + text, "√(1 − ᾱ_t)")
    fourth = float((noise / wanted[times - 1].reshape(*times.shape, 1, 1, 1)).pow(4).mean())
    return "" if abs(fourth - 3) < 0.5 else f"eps is not normal: the mean of its fourth power is {fourth:.2f}, not 3"


Exercise(
    "07.6", training_step, check=_learns,
    slips={
        "the times for net run from 0 to 4, and sampling begins at 5": "t = A -> t = A - 1",
        "errors of opposite sign cancel": "((eps_hat - eps) ** 2).mean() -> (eps_hat - eps).mean() ** 2",
        "net is told t, but x_t holds the noise of the step before": "t = A -> t = A - 1 ; net(x_t, t) -> net(x_t, t + 1)",
        "all images of a batch have the same t": "t = A -> t = A[:1].expand(len(x0))",
        "pixels or whole images share their noise": "x0.shape -> x0[:1].shape",
        "the noise is the same whatever": "torch.randn(A, generator=C) -> torch.randn(A)",
        "no gradient reaches": "return A -> return A.detach()",
    },
    hints=[
        "Can the loss be 0 although eps_hat is wrong? And does the net learn every time at which a sampler will ask it?",
        "Print t.min() and t.max() over many batches. Then put eps_hat = 0, which finds no noise, into the last line.",
        "torch.randint(1, len(alpha_bar), …) draws 1 … T; and eps_hat − eps is to be squared before its mean is taken.",
    ],
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def log_decoder(x0, mu, sigma, levels):
    half = 1 / (levels - 1)
    below = torch.special.ndtr((x0 - half - mu) / sigma)
    above = torch.special.ndtr((x0 + half - mu) / sigma)
    below = torch.where(x0 <= -1, 0.0, below)
    above = torch.where(x0 >= 1, 1.0, above)
    return torch.log(above - below)


def pixels(levels, sigma, ends=True, off=0.0):
    """mu stays near x0, or `off` sigmas above it: then no mass is too small for a difference of two Φ, in float32 too."""
    inner, sigma = torch.linspace(-1, 1, levels, dtype=torch.float64)[1:-1], torch.tensor(sigma).double()
    inner = inner[((uniform(levels, 47) + 1) / 2 * len(inner)).long()]
    x0 = torch.cat([inner.new_tensor([-1.0] * 3 + [1.0] * 3), inner]) if ends else inner
    return {"x0": x0, "mu": x0 + sigma * (off + 1.5 * uniform(9, len(x0))), "sigma": sigma, "levels": levels}


Exercise(
    "07.7", log_decoder,
    cases=[pixels(17, 0.05), pixels(5, 0.3), pixels(256, 0.004), pixels(17, 0.2, ends=False), pixels(33, 0.04, False, 3.8)],
    gives=[Value("the log mass", "log(Φ((x0 + h − mu)/sigma) − Φ((x0 − h − mu)/sigma)) with h = 1/(levels − 1)", rtol=2e-3)],
    slips={
        "the bins of −1 and 1 are as wide as the others, but they reach to −∞ and ∞": "torch.where(A, B, C) -> C",
        "whether a bin is open depends on the other pixels": "x0 <= A -> x0 == x0.min() ; x0 >= A -> x0 == x0.max()",
        "count the gaps between the values: there is one fewer": "levels - 1 -> levels",
        "a whole bin to each side of x0, which lies in the middle": "1 / (levels - 1) -> 2 / (levels - 1)",
        "half a bin is 1/16 for 17 levels, and not for any number": "1 / (levels - 1) -> 1 / 16",
        "half a level is ½ on the scale 0 … levels − 1, and this one is −1 … 1": "1 / (levels - 1) -> 0.5",
        "the density times the width, which is the mass of a narrow bin only":
            "return torch.distributions.Normal(mu, sigma).log_prob(x0) + torch.tensor(2 / (levels - 1)).log()",
        "sigma is taken for a variance, and it is a deviation": "sigma -> sigma.sqrt()",
        "the bin begins at x0, which should be its middle": "x0 - half - mu -> x0 - mu ; x0 + half -> x0 + 2 * half",
        "erf without its √2": "sigma -> sigma / 2**0.5",
        "all that lies below the bin counts as well": "above - below -> above",
        "a floor under the mass lies above what a far bin has": "above - below -> (above - below).clamp(min=1e-5)",
    },
    hints=[
        "The mass between two edges is Φ(upper) − Φ(lower); torch.special.ndtr is Φ, for N(0, 1): e becomes (e − mu) / sigma.",
        "`levels` values from −1 to 1 have levels − 1 gaps. How wide is a bin, and how far does it reach to each side?",
        "Half a bin is 1/(levels − 1). torch.where puts 0 for the lower Φ where x0 is −1, and 1 for the upper where it is 1.",
    ],
)  # fmt: skip
