"""Evals: is a new prompt or a new model as good as the one before? Names follow pydantic-evals."""

from ai_base.evals.dataset import Case, Dataset, EvalError, Evaluator, EvaluatorContext

__all__ = ["Case", "Dataset", "EvalError", "Evaluator", "EvaluatorContext"]
