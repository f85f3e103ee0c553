"""Asks a language model the questions of many dialogues: together, or several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from coprop.control_points.language_models.base import Answer, LanguageModel
from coprop.control_points.rcpg.dialogue import DialogueResult, DialogueRun, Question
from coprop.errors import LanguageModelError
from coprop.utils.checks import shown


def run_dialogues(
    llm: LanguageModel, dialogues: Iterator[DialogueRun], batch_size: int
) -> Iterator[DialogueResult]:
    """What came of each dialogue, in order, as it is known.

    A model whose ``concurrency`` is above 1 is asked from so many threads, one dialogue in each
    call; others are asked the same step of up to ``batch_size`` dialogues in one call.

    Args:
        llm: the model.
        dialogues: as `dialogue_about` makes them; taken from as they are needed, in one thread.
        batch_size: how many go on together.

    Raises:
        LanguageModelError: from the model, or where it does not answer each dialogue once.
    """
    concurrency = getattr(llm, "concurrency", 1)
    if concurrency > 1:
        return _in_threads(llm, dialogues, concurrency)
    return _in_batches(llm, dialogues, batch_size)


def _in_batches(
    llm: LanguageModel, dialogues: Iterator[DialogueRun], batch_size: int
) -> Iterator[DialogueResult]:
    while group := list(islice(dialogues, batch_size)):
        yield from _together(llm, group)


def _together(llm: LanguageModel, group: Sequence[DialogueRun]) -> list[DialogueResult]:
    """Leads dialogues side by side: each round asks all that are still open one question."""
    done: dict[int, DialogueResult] = {}
    open_questions: dict[int, Question] = {}

    def go_on(index: int, answer: Answer | None) -> None:
        try:
            dialogue = group[index]
            question = next(dialogue) if answer is None else dialogue.send(answer)
            open_questions[index] = question
        except StopIteration as stop:
            done[index] = stop.value

    for index in range(len(group)):
        go_on(index, None)
    while open_questions:
        asked, open_questions = open_questions, {}
        for windows in dict.fromkeys(question.windows for question in asked.values()):
            chosen = {i: q for i, q in asked.items() if q.windows == windows}
            answers = _ask(llm, list(chosen.values()), windows)
            for index, answer in zip(chosen, answers, strict=True):
                go_on(index, answer)
    return [done[index] for index in range(len(group))]


def _in_threads(
    llm: LanguageModel, dialogues: Iterator[DialogueRun], workers: int
) -> Iterator[DialogueResult]:
    running: deque[Future[DialogueResult]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for dialogue in dialogues:
            running.append(pool.submit(_alone, llm, dialogue))
            while running and (running[0].done() or len(running) >= 2 * workers):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(llm: LanguageModel, dialogue: DialogueRun) -> DialogueResult:
    try:
        question = next(dialogue)
        while True:
            question = dialogue.send(_ask(llm, [question], question.windows)[0])
    except StopIteration as stop:
        result: DialogueResult = stop.value
        return result


def _ask(llm: LanguageModel, questions: Sequence[Question], windows: int | None) -> list[Answer]:
    dialogues = [question.dialogue for question in questions]
    answers = llm.answer(dialogues) if windows is None else llm.answer_flags(dialogues, windows)
    if not isinstance(answers, Sequence) or not all(_is_answer(each) for each in answers):
        raise LanguageModelError(
            f"{llm.name} must give a list of Answer, each with its text, got {shown(answers)}."
        )
    if len(answers) != len(dialogues):
        raise LanguageModelError(
            f"{llm.name} gave {len(answers)} answers to {len(dialogues)} dialogues; there must be "
            "one for each, in their order."
        )
    return list(answers)


def _is_answer(value: object) -> bool:
    return isinstance(value, Answer) and isinstance(value.text, str)
