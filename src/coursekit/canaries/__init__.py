"""Canaries: questions with known answers, asked around a test cell that runs inside the student's own process.

Asserts in a notebook say whether they held through an interpreter that the student's code can change. Around each such
cell stand questions that only an unchanged interpreter answers rightly: an assert that must fail, a computation whose
result must come back, the very tools that the tests use on values whose answer is known here. They catch changed
replies, rewritten code, swallowed exceptions and tests that ended early. They prove nothing: code that looks for them
can answer them, and an object that claims to be equal to everything needs no change to the interpreter.
"""

from coursekit.canaries.around import ENDED_AND_RAISED, Canaries, Question, Reply, around, doubt
from coursekit.canaries.tools import parsed, phrases, tools

__all__ = ["ENDED_AND_RAISED", "Canaries", "Question", "Reply", "around", "doubt", "parsed", "phrases", "tools"]
