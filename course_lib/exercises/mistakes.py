"""The mistakes that people make: what belongs there | what they write | how unlikely | what to say, after "where".

Capital letters stand for any expression; {A} is what A stands for, in symbols. Rules that correct a wrong answer are from
Singh, Gulwani and Solar-Lezama (2013); these spoil the right one.
"""

ANYWHERE = """
A if C else B        | A                   | 0 | the case in which {C} does not hold is forgotten
A if C else B        | B                   | 0 | the case of {C} is forgotten
where(C, A, B)       | A                   | 0 | the case in which {C} does not hold is forgotten
where(C, A, B)       | B                   | 0 | the case of {C} is forgotten
where(C, A, B)       | where(C, B, A)      | 0 | the two cases of {C} are exchanged
(A, B)               | (B, A)              | 0 | the two are in the other order
[A, B]               | [B, A]              | 0 | {A} and {B} are in the other order
-A                   | A                   | 0 | the minus sign of {A} is missing
sqrt(A)              | A                   | 0 | the square root of {A} is missing
A ** 2               | A                   | 0 | {A} is not squared
A * B                | A                   | 0 | a factor, {B}, is missing
A * B                | B                   | 0 | a factor, {A}, is missing
A / B                | A                   | 0 | the division by {B} is missing
A // B               | A                   | 0 | the division by {B} is missing
A + B                | A                   | 0 | {B} is missing
A + B                | B                   | 0 | {A} is missing
A + B                | A - B               | 0 | the sign of {B} is turned
A - B                | A + B               | 0 | the sign of {B} is turned
A - B                | B - A               | 0 | a difference is the other way round: {B} comes first, and {A} is subtracted
sqrt(A)              | A ** 2              | 0 | {A} is squared instead of its root taken
A ** 2               | abs(A)              | 1 | the size of {A} is taken, not its square
A ** 2               | 2 * A               | 1 | {A} is doubled, not squared
sqrt(A - B)          | A - sqrt(B)         | 0 | a root covers {B} alone
sqrt(A - B)          | sqrt(A) - sqrt(B)   | 1 | roots are taken of two things that belong under one root
sqrt(A + B)          | sqrt(A) + B         | 0 | a root covers {A} alone
sqrt(A + B)          | sqrt(A) + sqrt(B)   | 1 | roots are taken of two things that belong under one root
sqrt(A * B)          | A * sqrt(B)         | 0 | the root is taken of {B} alone
sqrt(A * B)          | sqrt(A) * B         | 0 | the root is taken of {A} alone
sqrt(A / B)          | A / sqrt(B)         | 0 | the root is taken of {B} alone
sqrt(A / B)          | sqrt(A) / B         | 0 | the root is taken of {A} alone
A / sqrt(B)          | sqrt(A / B)         | 1 | the root covers {A} as well
A / B                | 1 / B               | 1 | {A} is missing above the fraction bar
A / B                | A * B               | 0 | {B} multiplies instead of dividing
A * B                | A / B               | 1 | {B} divides instead of multiplying
A * B                | B / A               | 1 | {A} divides instead of multiplying
A * B                | A + B               | 1 | {A} and {B} are added instead of multiplied
A / B                | B / A               | 0 | a fraction is upside down, with {A} below
A * B / C            | A * C / B           | 0 | a fraction is upside down, with {B} below
1 - A / B            | B - A               | 0 | a difference is not divided by {B}
1 - A / B            | (B - A) / A         | 0 | a difference is divided by {A}
A / B                | A - B               | 1 | a difference of {A} and {B} is taken instead of a quotient
A // B               | A / B               | 0 | a quotient is not rounded
A // B               | -(-A // B)          | 0 | a quotient is rounded up
A // B               | round(A / B)        | 1 | a quotient is rounded to the nearest
A // B + C           | (A + C) // B        | 0 | {C} comes before the division
(A + B) / C          | A + B / C           | 0 | {C} divides {B} alone: are brackets missing?
(A + B) / C          | A / C + B           | 0 | {C} divides {A} alone: are brackets missing?
(A - B) / C          | A - B / C           | 0 | {C} divides {B} alone: are brackets missing?
(A - B) / C          | A / C - B           | 0 | {C} divides {A} alone: are brackets missing?
(A - B) // C         | A - B // C          | 0 | {C} divides {B} alone: are brackets missing?
(A + B) * C          | A + B * C           | 0 | {C} multiplies {B} alone: are brackets missing?
(A - B) * C          | A - B * C           | 0 | {C} multiplies {B} alone: are brackets missing?
A * (B + C)          | A * B + C           | 0 | {A} multiplies {B} alone: are brackets missing?
A * (B - C)          | A * B - C           | 0 | {A} multiplies {B} alone: are brackets missing?
A * B + C            | A * (B + C)         | 0 | {A} multiplies {C} as well
A * B - C            | A * (B - C)         | 0 | {A} multiplies {C} as well
A + B * C            | (A + B) * C         | 0 | {C} multiplies {A} as well
A - B * C            | (A - B) * C         | 0 | {C} multiplies {A} as well
A + B / C            | (A + B) / C         | 0 | {C} divides {A} as well
A - B / C            | (A - B) / C         | 0 | {C} divides {A} as well
A / B + C            | (A + C) / B         | 0 | {B} divides {C} as well
A / B - C            | (A - C) / B         | 0 | {B} divides {C} as well
A - (B + C)          | A - B + C           | 0 | {C} is added: are brackets missing?
A - (B - C)          | A - B - C           | 0 | {C} is subtracted: are brackets missing?
A / (B * C)          | A / B * C           | 0 | {C} multiplies instead of dividing: are brackets missing?
(A - B) ** 2         | A ** 2 - B ** 2     | 0 | a difference of squares is taken, not the square of a difference
log(A / B)           | log(A) / log(B)     | 1 | a quotient of two logarithms is taken
(A ** 2).mean()      | A.mean() ** 2       | 0 | the mean is squared, so that errors of opposite sign cancel
(A ** 2).mean()      | A.mean()            | 0 | the errors are not squared
(A ** 2).mean()      | (A ** 2).flatten(1).sum(1).mean() | 0 | the sum over the entries of each image is taken
A.reshape(-1, 1, 1, 1) | A.reshape(-1, 1, 1) | 0 | {A} meets a wrong axis of the images, since it has too few axes
A.reshape(-1, 1, 1, 1) | A.reshape(-1, 1)  | 0 | {A} meets a wrong axis of the images, since it has too few axes
A - B                | A                   | 0 | {B} is not subtracted
A - B                | B                   | 0 | {A} is left out and {B} has a plus sign
A < B                | A <= B              | 0 | {A} may equal {B}, and should not
A < B                | A > B               | 0 | a comparison of {A} and {B} is the other way round
A > B                | A >= B              | 0 | {A} may equal {B}, and should not
A > B                | A < B               | 0 | a comparison of {A} and {B} is the other way round
A == B               | A != B              | 0 | a comparison of {A} and {B} is the other way round
A                    | sqrt(A)             | 1 | a square root is taken of {A}
A                    | A ** 2              | 1 | {A} is squared
A                    | -A                  | 2 | the sign of {A} is turned
A                    | A + 1               | 1.5 | {A} is one too large
A                    | A - 1               | 1.5 | {A} is one too small
A                    | 1 - A               | 2 | 1 − {A} stands for {A}
A                    | 2 * A               | 2 | {A} is doubled
A                    | A / 2               | 2 | {A} is halved
A                    | 1 / A               | 2 | 1 is divided by {A}
A                    | log(A)              | 2 | a logarithm is taken of {A}
"""

RESULT = """
A                    | A.sum()             | 0 | the sum over everything is taken
A                    | A.mean()            | 0 | the mean over everything is taken
A                    | A.sum(0)            | 0 | a sum over the first axis is taken
A                    | A.mean(0)           | 0 | a mean over the first axis is taken
A                    | A.sum(-1)           | 0 | a sum over the last axis is taken
A                    | A.mean(-1)          | 0 | a mean over the last axis is taken
A                    | A.flip(0)           | 0 | the order is turned round
A                    | A[1:]               | 0 | the first entry is missing
A                    | A[:-1]              | 0 | the last entry is missing
A                    | A.clamp(-1, 1)      | 0 | the result is clipped to −1 … 1
A                    | A / log(2)          | 0 | the result is divided by log 2
A                    | A * log(2)          | 0 | the result is multiplied by log 2
"""  # each of what is returned

# Each of these is written in the place of each other. Names that an exercise does not have are left out.
CONFUSED = [
    [
        "alpha_bar[I]", "alpha_bar[I - 1]", "1 - alpha_bar[I]", "1 - alpha_bar[I - 1]", "beta[I]", "1 - beta[I]",
        "alpha_bar[I] / alpha_bar[I - 1]", "1 - alpha_bar[I] / alpha_bar[I - 1]", "beta[I - 1]",
        "(1 - alpha_bar[I - 1]) / (1 - alpha_bar[I]) * beta[I]",
    ],
    ["alpha_bar[I] / alpha_bar[J]", "alpha_bar[I - J]", "alpha_bar[J] - alpha_bar[I]"],
    ["A[1:]", "A[:-1]"],
]  # fmt: skip

# Functions that are taken for each other.
ALIKE = [
    "log log2 log10 log1p", "mean sum", "mean median", "var std", "argmax argmin sum", "max min", "ceil floor round",
    "sin cos", "softmax log_softmax", "ndtr log_ndtr", "rand randn", "cumsum cumprod", "prod sum",
]  # fmt: skip

SYMBOLS = {"alpha_bar": "ᾱ", "alpha": "α", "beta": "β", "sigma": "σ", "eta": "η"}
